"""``aca-mcp install`` and ``uninstall``: this server in a client's configuration, or out of it.

A file is changed as a person would who is careful: only where it must, never another server's
entry, with the difference shown and a copy kept beside it. A client that has a command of its own
for this is changed by that. What a file holds of other servers reaches this screen and nothing
else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio

from aca_mcp.cli import config_files
from aca_mcp.cli.client_entries import entry_for, for_windows, is_ours, stale_variables
from aca_mcp.cli.config_documents import (
    DocumentError,
    servers_in,
    shown,
    with_server,
    without_server,
)
from aca_mcp.cli.known_clients import CLIENTS, config_file, windows_file
from aca_mcp.cli.logs import note
from aca_mcp.cli.transfers import write_out
from aca_mcp.cli.warm import offer_to_warm
from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from aca_mcp.cli.client_entries import Entry
    from aca_mcp.cli.json_comments import Json
    from aca_mcp.cli.known_clients import Client
    from aca_mcp.settings import Settings

_CLIENT_SECONDS = 60
"""For a client's own command, which may start slowly."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is, or shall be."""

    client: Client
    name: str
    """Of the server, in the client."""
    project: Path | None
    """The project whose servers it joins; None for those of the user."""

    @property
    def path(self) -> Path:
        """The file that the client reads."""
        return config_file(
            self.client,
            project=self.project,
            platform=sys.platform,
            home=Path.home(),
            env=os.environ,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class InstallRequest:
    """What one ``aca-mcp install`` does."""

    place: Place
    print_only: bool
    for_windows: bool
    """The client runs on Windows, and this server inside WSL."""
    replace: bool
    """An entry of another server may be written over."""
    include_secrets: bool
    flags: frozenset[str]
    """The settings that flags named."""
    env_file: Path | None


def place_from(arguments: argparse.Namespace) -> Place:
    """The entry that the arguments name."""
    project = Path.cwd() if arguments.project else None
    return Place(CLIENTS[arguments.client], arguments.name, project)


def request_from(arguments: argparse.Namespace) -> InstallRequest:
    """What the arguments ask for."""
    given: dict[str, object] = vars(arguments)
    fields: list[str] = arguments.setting_fields
    return InstallRequest(
        place=place_from(arguments),
        print_only=arguments.print,
        for_windows=arguments.windows,
        replace=arguments.replace,
        include_secrets=arguments.include_secrets,
        flags=frozenset(field for field in fields if given[field] is not None),
        env_file=arguments.env_file,
    )


def install(settings: Settings, request: InstallRequest) -> int:
    """Write or print a client's entry for a server with these settings; returns the exit code.

    Raises:
        SettingsError: another server has the name, or the client's file cannot be read, changed
            without a loss, or written.
    """
    place = request.place
    entry = entry_for(
        place.client,
        _own_command(),
        settings,
        flags=request.flags,
        env_file=request.env_file,
        env=os.environ,
        include_secrets=request.include_secrets,
    )
    if request.for_windows:
        _print_for_windows(place, entry)
    elif request.print_only:
        write_out(shown(place.client, place.name, entry.value) + "\n")
    else:
        _add(place, entry, replace=request.replace)
        offer_to_warm(settings)
    for variable in entry.left_out:
        note(
            f"{variable} is set and was left out, because it may hold a secret: add it there "
            "yourself, or say --include-secrets."
        )
    return 0


def uninstall(place: Place) -> int:
    """Take this server's entry out of a client's configuration; returns the exit code.

    Raises:
        SettingsError: the entry is another server's, or the file cannot be changed.
    """
    path = config_files.find(place.path, project=place.project)
    old = config_files.read(path)
    servers = _servers(place, path, old)
    if place.name not in servers:
        note(f"{path} has no server {place.name}; nothing was changed.")
        _note_of_others(place, servers)
        return 0
    if not is_ours(servers[place.name]):
        raise SettingsError(f"{place.name} in {path} is another server; nothing was changed.")
    if _has_own_command(place, ()):
        _run_client(place, "remove", place.name)
    else:
        new = without_server(place.client, old, place.name)
        config_files.replace(path, new, private=False)
        config_files.show_difference(path, old, new)
    note(f"{place.client.title} forgets {place.name} when it is started again.")
    return 0


def _own_command() -> list[str]:
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    directory = Path(sys.executable).parent
    for name in ("aca-mcp", "aca-mcp.exe"):
        if (script := directory / name).is_file():
            return [str(script)]
    return [sys.executable, "-m", "aca_mcp"]


def _print_for_windows(place: Place, entry: Entry) -> None:
    distribution = os.environ.get("WSL_DISTRO_NAME")
    if not distribution:
        raise SettingsError("--windows is for a terminal inside WSL, and this is none.")
    value = for_windows(entry, distribution).value
    write_out(shown(place.client, place.name, value) + "\n")
    note(f"put this into {windows_file(place.client)} on Windows, and start the client again.")


def _add(place: Place, entry: Entry, *, replace: bool) -> None:
    client, name = place.client, place.name
    path = config_files.find(place.path, project=place.project)
    had_folder = path.parent.is_dir()
    old = config_files.read(path)
    servers = _servers(place, path, old)
    there = servers.get(name)
    if there is not None and not (replace or is_ours(there)):
        raise SettingsError(
            f"{path} has another server named {name}; nothing was changed. Choose a name with "
            "--name, or write over that one with --replace."
        )
    new = _changed(place, path, old, entry, there, replace=replace)
    if new == old:
        note(f"{path} has this entry already; nothing was changed.")
        return
    if _has_own_command(place, entry.secrets):
        if there is not None:
            _run_client(place, "remove", name)
        _run_client(place, "add-json", name, json.dumps(entry.value))
    else:
        backup = config_files.replace(path, new, private=bool(entry.secrets))
        config_files.show_difference(path, old, new)
        if backup is not None:
            note(f"what was there before is in {backup}")
        if entry.secrets:
            note(f"{path} has secrets in it now, and only you may read it.")
    note(f"{client.title} finds {name} when it is started again. {client.one_connection}")
    if not had_folder and place.project is None:
        _note_of_missing_folder(client, path)
    _note_of_others(place, servers)


def _changed(
    place: Place, path: Path, old: str, entry: Entry, there: Json, *, replace: bool
) -> str:
    client, name = place.client, place.name
    try:
        if there is None or not is_ours(there):
            # Nothing of another server's entry is kept: its environment may be what it is allowed.
            text = without_server(client, old, name) if replace else old
        else:
            text = old
            for variable in stale_variables(cast("dict[str, object]", there), entry.value):
                text = without_server(client, text, name, "env", variable)
        return with_server(client, text, name, entry.value)
    except DocumentError as error:
        raise _unchanged(path, error) from None


def _servers(place: Place, path: Path, text: str) -> Mapping[str, Json]:
    try:
        return servers_in(place.client, text)
    except DocumentError as error:
        raise _unchanged(path, error) from None


def _unchanged(path: Path, error: Exception) -> SettingsError:
    return SettingsError(
        f"{path} was not changed: {error}. Correct it, or add the entry yourself; --print shows it."
    )


def _has_own_command(place: Place, secrets: tuple[str, ...]) -> bool:
    # A project's file is for all who work on it, and is better seen as a difference. Secrets
    # would stand among the arguments of a process, which every user of a machine can read.
    command = place.client.command
    return bool(command and not secrets and place.project is None and shutil.which(command))


def _run_client(place: Place, *arguments: str) -> None:
    """Run a client's own command for the servers of its user.

    Raises:
        SettingsError: it fails, or does not end.
    """
    command = [str(place.client.command), "mcp", arguments[0], "--scope", "user", *arguments[1:]]
    shown_command = " ".join(command[:3])

    async def run() -> tuple[int, bytes]:
        with anyio.fail_after(_CLIENT_SECONDS):
            done = await anyio.run_process(command, check=False)
        return done.returncode, done.stderr or done.stdout

    try:
        code, told = anyio.run(run)
    except TimeoutError:
        raise SettingsError(f"{shown_command} did not end in {_CLIENT_SECONDS} seconds.") from None
    except OSError as error:
        raise SettingsError(f"{shown_command} cannot be started: {error.strerror}.") from None
    if code != 0:
        said = "".join(mark for mark in told.decode(errors="replace")[:500] if mark.isprintable())
        raise SettingsError(f"{shown_command} failed: {said}")
    note(f"{shown_command} did it.")


def _note_of_missing_folder(client: Client, path: Path) -> None:
    note(
        f"{path.parent} was not there before: {client.title} has not been used here, or reads "
        "another file. If it does not find the server, look in its settings for where it keeps "
        "MCP servers."
    )
    if distribution := os.environ.get("WSL_DISTRO_NAME"):
        note(
            f"this is {distribution} inside WSL, and a {client.title} on Windows does not read "
            "this file: --windows prints the entry for that one."
        )


def _note_of_others(place: Place, servers: Mapping[str, Json]) -> None:
    others = [name for name, value in servers.items() if name != place.name and is_ours(value)]
    if others:
        note(f"this server is also there under the name {', '.join(others)}.")
