"""``aca-mcp`` in a process of its own, as a person or a client starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mcp import StdioServerParameters

COMMAND = [sys.executable, "-m", "aca_mcp"]


def aca_mcp(
    *arguments: str, cwd: Path | None = None, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end.

    Args:
        arguments: the command and its own.
        cwd: where; here unless it is said.
        stdin: what it can read.
        variables: of the environment, beside those of the test.
    """
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=os.environ | variables,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


def serving_pipes(**variables: object) -> StdioServerParameters:
    """The server as the SDK's client starts it, with these in its environment."""
    return StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "serve"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
    )
