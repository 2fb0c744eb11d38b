"""``aca-mcp emulator``: settings and flags to the emulator over the local pool."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio

from aca_mcp.cli.flags import host_names
from aca_mcp.cli.garbage_collection import collect_seldom
from aca_mcp.cli.logs import configure_logging
from aca_mcp.cli.standard_error import unblocked_standard_error
from aca_mcp.emulator.access import Access
from aca_mcp.emulator.emulator_server import check_listener, serve_emulator
from aca_mcp.emulator.faults import Faults
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.errors import SettingsError
from aca_mcp.listening.server import Listener
from aca_mcp.pools import open_session_pool

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator
    from pathlib import Path
    from typing import TextIO

    from aca_mcp.hosts import HostName
    from aca_mcp.settings import Settings

_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class EmulatorRequest:
    """What one ``aca-mcp emulator`` is asked for."""

    listener: Listener
    faults: Faults
    allowed_hosts: frozenset[HostName] = frozenset()
    pool_type: Literal["python", "shell"] = "python"
    record: Path | None = None


def request_from(arguments: argparse.Namespace) -> EmulatorRequest:
    """Read the flags of this command.

    Raises:
        SettingsError: one cannot be used.
    """
    port: str = arguments.port
    if not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise SettingsError(f"--port must be a number from 0 to {_MAX_PORT}.")
    for flag, path in (("--certificate", arguments.certificate), ("--key", arguments.key)):
        if path is not None and not path.is_file():
            raise SettingsError(f"{flag} must name a file that exists.")
    faults = Faults()
    for text in arguments.fault:
        faults.add(text)
    listener = Listener(arguments.host, int(port), arguments.certificate, arguments.key)
    return EmulatorRequest(
        listener,
        faults,
        host_names(arguments.allowed_hosts, "--allowed-hosts"),
        arguments.pool_type,
        arguments.record,
    )


def emulate(settings: Settings, request: EmulatorRequest) -> int:
    """Serve until interrupted; returns the exit code.

    Raises:
        SettingsError: it must not listen there, or the settings choose another pool.
        PoolUnavailableError: it cannot listen, or the local pool cannot start.
    """
    with unblocked_standard_error():
        return _emulate_until_told(settings, request)


def _emulate_until_told(settings: Settings, request: EmulatorRequest) -> int:
    configure_logging(settings.log_level)
    if settings.pool_kind != "local":
        raise SettingsError(
            "The emulator serves the local pool: unset ACA_MCP_POOL_MANAGEMENT_ENDPOINT and "
            "ACA_MCP_POOL for it."
        )
    with _recording(request.record) as record:
        options = EmulatorOptions(
            access=Access(settings.emulator_token.get_secret_value(), request.allowed_hosts),
            faults=request.faults,
            max_concurrent_sessions=settings.local_max_concurrent_sessions,
            pool_type=request.pool_type,
            record=record,
        )
        check_listener(request.listener, options)
        anyio.run(_emulate, settings, request.listener, options)
    return 0


@contextmanager
def _recording(path: Path | None) -> Generator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--record cannot be written there: {error.strerror}.") from error
    with file:
        yield file


async def _emulate(settings: Settings, listener: Listener, options: EmulatorOptions) -> None:
    # What it emulates has no broker, as a pool without egress installs nothing by itself, and no
    # checkpoints: an interpreter that dies there has lost its variables.
    settings = settings.model_copy(update={"packages": "off", "local_checkpoints": 0})
    async with open_session_pool(settings) as pool:
        collect_seldom()
        await serve_emulator(pool, listener, options)
