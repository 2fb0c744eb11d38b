"""Runs the command that the arguments name.

Each command's module is imported when it is chosen, because a client waits for ``serve`` to start
and should not wait for what ``exec`` or ``doctor`` need.
"""

from __future__ import annotations

import gc
import io
import sys
from typing import TYPE_CHECKING

from aca_mcp.cli.commands import COMMANDS
from aca_mcp.cli.errors import error_in
from aca_mcp.cli.flags import settings_from
from aca_mcp.cli.parser import CommandLine, wants_help
from aca_mcp.errors import AcaMcpError, SettingsError

if TYPE_CHECKING:
    import argparse

_ALL = "--help-all"


def dispatch(arguments: list[str]) -> int:
    """Run the command that the arguments name and return its exit code, as ``main`` does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What an encoding does not have is shown by its number, as on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")  # pyright: ignore[reportUnknownMemberType] -- isinstance cannot name its type
    line = CommandLine(COMMANDS, shows_all=_ALL in arguments)
    if wants_help(arguments):
        line.print_help()
        return 0
    parsed = line.parse(arguments)
    try:
        return _run(parsed)
    except (AcaMcpError, ExceptionGroup) as error:
        refusal = error_in(error)
        for sentence in refusal.message.splitlines():
            sys.stderr.write(f"aca-mcp: {sentence}\n")
        return 2 if isinstance(refusal, SettingsError) else 1
    except KeyboardInterrupt:
        # The usual end of a server, also before it has taken the signal over.
        return 0 if parsed.command in {"serve", "emulator"} else 130


def _run(parsed: argparse.Namespace) -> int:
    command: str = parsed.command
    if command == "uninstall":
        from aca_mcp.cli.install import place_from, uninstall

        return uninstall(place_from(parsed))
    settings = settings_from(parsed)
    if command == "serve":
        from aca_mcp.cli.serve import serve

        return serve(settings)
    gc.enable()
    if command in {"exec", "repl"}:
        from aca_mcp.cli.exec import execute, request_from

        return execute(settings, request_from(parsed))
    if command == "azure":
        from aca_mcp.cli.azure_verify import verify_pools

        return verify_pools(settings, parsed)
    if command == "emulator":
        from aca_mcp.cli.emulator import emulate
        from aca_mcp.cli.emulator import request_from as emulator_request_from

        return emulate(settings, emulator_request_from(parsed))
    if command == "install":
        from aca_mcp.cli.install import install
        from aca_mcp.cli.install import request_from as install_request_from

        return install(settings, install_request_from(parsed))
    if command == "warm":
        from aca_mcp.cli.warm import warm

        return warm(settings)
    if command == "env":
        if sys.platform != "linux":
            raise SettingsError(
                "Environments are for local sessions, which need Linux. Sessions in WebAssembly "
                "have the packages that come with them, and install others of pure Python."
            )
        from aca_mcp.cli.env import manage
        from aca_mcp.cli.env import request_from as env_request_from

        return manage(settings, env_request_from(parsed))
    from aca_mcp.cli.doctor import diagnose

    return diagnose(settings, as_json=parsed.json)
