"""``aca-mcp env``: makes, shows and removes the environments of local sessions."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import TYPE_CHECKING

import anyio

from aca_mcp.cli.logs import note
from aca_mcp.cli.transfers import write_out
from aca_mcp.environments import building
from aca_mcp.environments.choice import default_environment
from aca_mcp.environments.definitions import DEFINITIONS, otherwise_now, summary_of
from aca_mcp.environments.store import EnvironmentStore
from aca_mcp.errors import SettingsError
from aca_mcp.pools import environments_directory

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from aca_mcp.environments.store import Environment
    from aca_mcp.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class EnvRequest:
    """What one ``aca-mcp env`` does."""

    action: str
    name: str = ""
    packages: tuple[str, ...] = ()
    python: str = ""
    only_if_missing: bool = False


def request_from(arguments: argparse.Namespace) -> EnvRequest:
    """What the arguments ask for.

    Raises:
        SettingsError: they do not go together, or the file cannot be read.
    """
    named: list[str] = list(arguments.packages)
    if arguments.requirements is not None:
        named += _requirements_in(arguments.requirements)
    action, name = arguments.action, arguments.name
    if not name and action != "list":
        raise SettingsError(f"aca-mcp env {action} needs a NAME.")
    if action != "create" and (named or arguments.python):
        raise SettingsError("Packages and --python are for aca-mcp env create.")
    return EnvRequest(action, name, tuple(named), arguments.python, arguments.if_missing)


def _requirements_in(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"--requirements {file} cannot be read, in UTF-8.") from None
    wanted = [line.partition(" #")[0].strip() for line in lines]
    wanted = [line for line in wanted if line and not line.startswith("#")]
    for line in wanted:
        if line.startswith("-"):
            raise SettingsError(f"--requirements {file} may have packages alone, not {line!r}.")
    return wanted


def manage(settings: Settings, request: EnvRequest) -> int:
    """Do it; returns the exit code.

    Raises:
        EnvironmentFailedError: it could not be done.
    """
    store = EnvironmentStore(environments_directory(settings))
    match request.action:
        case "create":
            if not (request.only_if_missing and store.find(request.name)):
                wanted = building.request_for(request.name, request.packages, request.python)
                _make(store, wanted, settings)
        case "update":
            record = store.get(request.name).record
            wanted = building.request_for(record.name, record.requirements, record.python)
            _make(store, wanted, settings)
            if otherwise := otherwise_now(record.name, record.requirements):
                note(
                    f"it has what was asked for when it was made. This version makes {record.name} "
                    f"{otherwise}: aca-mcp env create {record.name}"
                )
        case "show":
            _show(store.get(request.name))
        case "remove":
            store.remove(request.name)
        case _:
            _list(store, settings)
    return 0


def _make(store: EnvironmentStore, request: building.Request, settings: Settings) -> None:
    started = time.monotonic()

    async def make() -> Environment:
        return await building.make(
            store,
            request,
            say=lambda text: note(f"{text} ..."),
            index=settings.package_index,
            shows_progress=sys.stderr.isatty(),
        )

    made = anyio.run(make)
    note(f"{_line(made)}; it took {time.monotonic() - started:.0f} s")


def _show(environment: Environment) -> None:
    write_out(
        f"{_line(environment)}\nmade {environment.record.created_at}, in {environment.directory}\n"
        f"of: {' '.join(environment.record.requirements)}\n\n"
    )
    write_out("".join(f"{package}\n" for package in environment.record.packages))


def _list(store: EnvironmentStore, settings: Settings) -> None:
    names = store.names()
    chosen = settings.local_environment
    default = default_environment(store, chosen)
    if settings.local_python is not None:
        default = ""
        note(f"sessions have the interpreter {settings.local_python} (ACA_MCP_LOCAL_PYTHON)")
    elif chosen and chosen not in names:
        note(f"{chosen} (ACA_MCP_LOCAL_ENVIRONMENT) is not made: aca-mcp env create {chosen}")
    for name in names:
        environment = store.get(name)
        record = environment.record
        mark = " (default)" if name == default else ""
        write_out(f"{_line(environment)}{mark}\n  {summary_of(name, record.requirements)}\n")
    for name in DEFINITIONS.keys() - set(names):
        write_out(f"{name}: not made; aca-mcp env create {name}\n")


def _line(environment: Environment) -> str:
    record = environment.record
    return (
        f"{record.name}: Python {record.python_version}, {len(record.lock)} packages, "
        f"{environment.size_bytes() / 2**20:,.0f} MiB"
    )
