"""Shell pools: programs run in a session of the local pool. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.emulator.execution_requests import ShellCommand

PREPARATION = "None"
"""A shell begins in the work directory, where sessions begin anyway."""

_PROGRAM = """
import subprocess, sys
def run(arguments, stdin):
    sys.stdout.flush(); sys.stderr.flush()
    try:
        return subprocess.run(arguments, input=stdin.encode("utf-8", "surrogateescape")).returncode
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 127
"""


def program_of(command: ShellCommand) -> str:
    """Code that runs a program in the work directory, and whose value is the exit code."""
    run = f'(lambda names: (exec({_PROGRAM!r}, names), names["run"])[1])({{}})'
    return f"{run}({list(command.arguments)!a}, {command.stdin!a})"
