"""``aca-mcp doctor``: looks at this machine, tries the real pool, and reports with fixes.

The facts are gathered here; ``doctor_checks`` draws the conclusions.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from aca_mcp import __version__
from aca_mcp.cli import config_files
from aca_mcp.cli import doctor_checks as checks
from aca_mcp.cli.azure_doctor import try_azure
from aca_mcp.cli.client_entries import is_ours
from aca_mcp.cli.config_documents import DocumentError, servers_in
from aca_mcp.cli.doctor_checks import Check, State
from aca_mcp.cli.errors import error_in
from aca_mcp.cli.known_clients import CLIENTS, config_file
from aca_mcp.cli.logs import configure_logging, note
from aca_mcp.cli.transfers import write_out
from aca_mcp.cli.waiting import say_if_it_takes_long
from aca_mcp.embedded.machine_memory import machine_bytes
from aca_mcp.errors import AcaMcpError, SettingsError
from aca_mcp.pools import (
    environments_of,
    has_second_ring,
    is_wasm_prepared,
    open_session_pool,
)
from aca_mcp.session import PythonSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.settings import Settings

_TRIAL_SECONDS = 60
"""How long a first result may take before the pool counts as broken."""


def diagnose(settings: Settings, *, as_json: bool = False) -> int:
    """Print the report; returns 1 if something that the settings ask for is broken, else 0.

    Args:
        settings: what would be served.
        as_json: print it for programs.
    """
    configure_logging(settings.log_level)
    found = [_versions(), checks.check_pool(settings)]
    if settings.pool_kind == "local":
        found.append(checks.check_platform(sys.platform))
        if found[-1].state is State.OK:
            from aca_mcp.sandbox.probe import host_note, probe_isolation  # of Linux alone

            found.append(checks.check_isolation(settings, probe_isolation(), host_note()))
            names = [each.name for each in environments_of(settings)]
            found.append(checks.check_environments(settings, names))
    if settings.pool_kind == "wasm":
        found.append(
            checks.check_wasm(
                sys.platform,
                is_prepared=is_wasm_prepared(settings),
                second_ring=has_second_ring(settings),
            )
        )
    if all(check.state is not State.BROKEN for check in found):
        found.extend(anyio.run(_try_pool, settings))
    found.append(_work_dir(settings))
    found.append(checks.check_clients(installed_in()))
    write_out(checks.as_json(found) if as_json else checks.render(found))
    return 1 if any(check.state is State.BROKEN for check in found) else 0


def installed_in() -> Mapping[str, list[str]]:
    """The clients of this user that have an entry for this server, with the entries' names."""
    found: dict[str, list[str]] = {}
    for client in CLIENTS.values():
        path = config_file(
            client, project=None, platform=sys.platform, home=Path.home(), env=os.environ
        )
        try:
            servers = servers_in(client, config_files.read(config_files.find(path, project=None)))
        except (SettingsError, *DocumentError):
            continue  # what a client makes of such a file is not known; `install` would say why
        if names := [name for name, entry in servers.items() if is_ours(entry)]:
            found[client.title] = names
    return found


def _versions() -> Check:
    parts = [f"aca-mcp {__version__}", f"Python {platform.python_version()} ({sys.executable})"]
    parts += [f"{name} {version(name)}" for name in ("mcp", "anyio", "pydantic")]
    parts.append(f"{platform.system()} {platform.release()} {platform.machine()}")
    return Check("Versions", State.OK, ", ".join(parts))


async def _try_pool(settings: Settings) -> list[Check]:
    if settings.pool_kind == "azure":
        async with say_if_it_takes_long(settings, note):
            return await try_azure(settings)
    return await _try_local(settings)


async def _try_local(settings: Settings) -> list[Check]:
    try:
        with anyio.fail_after(_TRIAL_SECONDS):
            started = time.perf_counter()
            async with open_session_pool(settings) as pool, PythonSession(pool) as session:
                execution = await session.execute("1+1", timeout_seconds=_TRIAL_SECONDS)
                seconds = time.perf_counter() - started
                metadata = await pool.metadata()
    except TimeoutError:
        finding = f"no session was ready within {_TRIAL_SECONDS} seconds"
        return [Check("Session", State.BROKEN, finding, "Look at what was logged above.")]
    except (AcaMcpError, ExceptionGroup) as error:
        return [Check("Session", State.BROKEN, error_in(error).message)]
    found = [checks.check_session(metadata, execution, seconds)]
    interpreter = str(settings.local_python or "")
    found.append(checks.check_packages(metadata, interpreter))
    if metadata.limits is not None:
        machine = machine_bytes()
        found.append(checks.check_limits(settings, metadata.limits, machine_bytes=machine))
    found.append(checks.check_network(settings))
    found.append(checks.check_checkpoints(metadata))
    return found


def _work_dir(settings: Settings) -> Check:
    directory = settings.work_dir
    writable = directory is not None and os.access(directory, os.W_OK)
    return checks.check_work_dir(settings, writable=writable)
