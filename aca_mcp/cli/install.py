"""``aca-mcp install``: puts this server into a client's configuration, or prints what to put there.

A file is changed as a person would who is careful: only where it must, with a copy kept beside it
and the difference shown. What a file holds of other servers reaches this screen and nothing else.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.cli.client_configs import CLIENTS, config_file, entry_for
from aca_mcp.cli.json_comments import JsonError, set_member
from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from aca_mcp.cli.client_configs import Client, Entry
    from aca_mcp.settings import Settings

_PRIVATE = 0o600
"""A new file's mode: clients keep secrets in theirs."""
_BYTE_ORDER_MARK = "\ufeff"


@dataclasses.dataclass(frozen=True, slots=True)
class InstallRequest:
    """What one ``aca-mcp install`` does."""

    client: Client
    name: str
    """Of the server, in the client."""
    project: Path | None
    """The project whose servers it joins; None for those of the user."""
    print_only: bool
    include_secrets: bool
    flags: frozenset[str]
    """The settings that flags named."""
    env_file: Path | None


def request_from(arguments: argparse.Namespace) -> InstallRequest:
    """What the arguments ask for."""
    given: dict[str, object] = vars(arguments)
    fields: list[str] = arguments.setting_fields
    return InstallRequest(
        client=CLIENTS[arguments.client],
        name=arguments.name,
        project=Path.cwd() if arguments.project else None,
        print_only=arguments.print,
        include_secrets=arguments.include_secrets,
        flags=frozenset(field for field in fields if given[field] is not None),
        env_file=arguments.env_file,
    )


def install(settings: Settings, request: InstallRequest) -> int:
    """Write or print a client's entry for a server with these settings; returns the exit code.

    Raises:
        SettingsError: the client's file cannot be read, changed without a loss, or written.
    """
    client = request.client
    entry = entry_for(
        client,
        _own_command(),
        settings,
        flags=request.flags,
        env_file=request.env_file,
        env=os.environ,
        include_secrets=request.include_secrets,
    )
    if request.print_only:
        sys.stdout.write(_shown(client, request.name, entry) + "\n")
    else:
        path = config_file(
            client,
            project=request.project,
            platform=sys.platform,
            home=Path.home(),
            env=os.environ,
        )
        _change(path, client, request.name, entry)
    for variable in entry.left_out:
        _note(
            f"{variable} is set and was left out, because it may hold a secret: add it there "
            "yourself, or say --include-secrets."
        )
    return 0


def _own_command() -> list[str]:
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    directory = Path(sys.executable).parent
    for name in ("aca-mcp", "aca-mcp.exe"):
        if (script := directory / name).is_file():
            return [str(script)]
    return [sys.executable, "-m", "aca_mcp"]


def _shown(client: Client, name: str, entry: Entry) -> str:
    return json.dumps({client.section: {name: entry.value}}, indent=2, ensure_ascii=False)


def _change(path: Path, client: Client, name: str, entry: Entry) -> None:
    try:
        # People keep such files elsewhere and link to them.
        target = path.resolve()
        old = target.read_bytes().decode() if target.exists() else ""
        mark = _BYTE_ORDER_MARK if old.startswith(_BYTE_ORDER_MARK) else ""
        new = mark + set_member(old.removeprefix(mark), (client.section, name), entry.value)
        if new == old:
            _note(f"{path} has this entry already; nothing was changed.")
            return
        backup = _backup(target) if target.exists() else None
        _replace(target, new)
    except (JsonError, UnicodeDecodeError) as error:
        fault = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SettingsError(
            f"{path} was not changed: {fault}. Correct it, or add the entry yourself; --print "
            "shows it."
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} was not changed: {error.strerror}.") from None
    _show_difference(path, old, new)
    if backup is not None:
        _note(f"what was there before is in {backup}")
    _note(f"{client.title} finds {name} when it is started again.")


def _backup(path: Path) -> Path:
    number = 1
    while os.path.lexists(backup := path.with_name(f"{path.name}.backup-{number}")):
        number += 1
    # "x", and the mode from the start: nobody reads a moment's more than they could before.
    mode = path.stat().st_mode & 0o777
    with open(backup, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(path.read_bytes())
    return backup


def _replace(path: Path, text: str) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else _PRIVATE
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _show_difference(path: Path, old: str, new: str) -> None:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(path), str(path), "before", "after", lineterm=""
    )
    for line in lines:
        # A project's file may come from anywhere.
        shown = "".join(mark if mark.isprintable() or mark == "\t" else "\ufffd" for mark in line)
        sys.stdout.write(f"{shown}\n")


def _note(text: str) -> None:
    sys.stderr.write(f"aca-mcp: {text}\n")
