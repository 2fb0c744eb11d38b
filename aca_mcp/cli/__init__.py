"""The command line: arguments become settings, and settings a running command.

Each command's module is imported when it is chosen, because a client waits for ``serve`` to start
and should not wait for what ``exec`` or ``doctor`` need.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from aca_mcp import __version__
from aca_mcp.cli.flags import (
    Parser,
    add_emulator_flags,
    add_install_flags,
    add_setting_flags,
    settings_from,
    wants_help,
)
from aca_mcp.cli.refusals import refusal_in
from aca_mcp.errors import AcaMcpError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = "Gives a language model a stateful, isolated Python interpreter over MCP."
_EPILOG = """\
Without a command, a client that starts aca-mcp with a pipe is served over stdio.
Start with: aca-mcp doctor      Settings: aca-mcp serve --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code.

    0 is success, 1 a command that failed, 2 arguments or settings that cannot be used, and 130
    a command that a person interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if wants_help(arguments):
        parser.print_help()
        return 0
    parsed = parser.parse_args(_with_default_command(arguments))
    try:
        return _run(parsed)
    except (AcaMcpError, ExceptionGroup) as error:
        refusal = refusal_in(error)
        for line in refusal.message.splitlines():
            sys.stderr.write(f"aca-mcp: {line}\n")
        return 2 if isinstance(refusal, SettingsError) else 1
    except KeyboardInterrupt:
        # The usual end of a server, also before it has taken the signal over.
        return 0 if parsed.command in {"serve", "emulator"} else 130


def _run(parsed: argparse.Namespace) -> int:
    command: str = parsed.command
    settings = settings_from(parsed)
    if command == "serve":
        from aca_mcp.cli.serve import serve

        return serve(settings)
    if command == "exec":
        from aca_mcp.cli.exec import execute, request_from

        return execute(settings, request_from(parsed))
    if command == "emulator":
        from aca_mcp.cli.emulator import emulate
        from aca_mcp.cli.emulator import request_from as emulator_request_from

        return emulate(settings, emulator_request_from(parsed))
    if command == "install":
        from aca_mcp.cli.install import install
        from aca_mcp.cli.install import request_from as install_request_from

        return install(settings, install_request_from(parsed))
    from aca_mcp.cli.doctor import diagnose

    return diagnose(settings)


def _with_default_command(arguments: list[str]) -> list[str]:
    # Client configurations are shorter without the word: `aca-mcp --work-dir ~/data`.
    if not arguments or (
        arguments[0].startswith("--") and arguments[0] not in {"--help", "--version"}
    ):
        return ["serve", *arguments]
    return arguments


def _parser() -> Parser:
    parser = Parser(
        prog="aca-mcp",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"aca-mcp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, summary: str) -> Parser:
        return commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)

    add_setting_flags(command("serve", "Serve MCP over stdin and stdout, or HTTP."), serves=True)

    run = command("exec", "Run Python in a fresh session and show its output.")
    run.add_argument("code", metavar="CODE|SCRIPT", help="Python, a script's path, or - for stdin.")
    run.add_argument(
        "--upload",
        action="append",
        default=[],
        metavar="FILE",
        help="Copy this file to the session's work directory first. May be repeated.",
    )
    run.add_argument(
        "--download",
        action="append",
        default=[],
        metavar="PATH",
        help="Copy this file of the session to the current directory afterwards. May be repeated.",
    )
    add_setting_flags(run)

    emulator = command("emulator", "Serve the API of Azure's dynamic sessions on this machine.")
    add_emulator_flags(emulator)
    add_setting_flags(emulator)

    into_client = command("install", "Put this server into a client's configuration.")
    add_install_flags(into_client)
    add_setting_flags(into_client)

    add_setting_flags(command("doctor", "Say what would run here, what is missing and the fix."))
    return parser
