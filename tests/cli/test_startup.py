"""What starting the server costs: nothing is imported before it is needed, if it ever is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aca_mcp.cli.commands import COMMANDS
from aca_mcp.cli.parser import Command, CommandLine, Parser

NEVER = ["azure", "azure.identity", "httpx", "rich", "IPython", "numpy", "pandas"]
"""Not needed to serve stdio with a local pool, however long it runs.

The MCP SDK itself imports starlette and uvicorn, whatever the transport.
"""

AFTER_THE_POOL = [
    *NEVER,
    "mcp",
    "mcp_types",
    "aca_mcp.server",
    "starlette",
    "jsonschema",
    "uvicorn",
]
"""Not needed before the template process is on its way."""

OPEN_THEN_LOOK = """
import json, sys
import anyio
import aca_mcp.cli
from aca_mcp.cli import serve
from aca_mcp.settings import load_settings

async def look():
    async with serve.open_session_pool(load_settings()):
        sys.stdout.write(json.dumps(sorted(sys.modules)))

anyio.run(look)
"""


def modules_after(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=30
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_pool_opens_before_the_server_is_imported() -> None:
    """So that the template's imports and the server's run side by side."""
    loaded = modules_after(OPEN_THEN_LOOK)
    assert "aca_mcp.local.pool" in loaded
    assert sorted(loaded.intersection(AFTER_THE_POOL)) == []


def test_serving_stdio_imports_nothing_that_it_does_not_use() -> None:
    """Runs the whole of `aca-mcp serve` against a client that leaves at once."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aca_mcp", "serve"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    loaded = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "aca_mcp.server.app" in loaded
    assert sorted(loaded.intersection(NEVER)) == []


def test_a_client_that_leaves_at_once_is_not_waited_for() -> None:
    """Hosts kill a server that takes longer than two seconds to go; here it starts up as well."""
    subprocess.run(
        [sys.executable, "-m", "aca_mcp"], stdin=subprocess.DEVNULL, timeout=8, check=True
    )


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_help_and_version_import_no_server_and_no_pool(arguments: list[str]) -> None:
    program = f"""
import json, sys
from aca_mcp.cli import main
out, sys.stdout = sys.stdout, open("/dev/null", "w")
try:
    main({arguments!r})
except SystemExit:
    pass
out.write(json.dumps(sorted(sys.modules)))
"""
    loaded = modules_after(program)
    assert not loaded.intersection([*AFTER_THE_POOL, "aca_mcp.local", "anyio"])


@pytest.mark.parametrize("arguments", [[], ["--work-dir", "/tmp"], ["serve", "--timeout", "5"]])
def test_only_the_flags_of_the_command_that_is_run_are_made(arguments: list[str]) -> None:
    made: list[str] = []

    def noted(name: str, command: Command) -> Command:
        def add_flags(parser: Parser) -> None:
            made.append(name)
            command.add_flags(parser)

        return command._replace(add_flags=add_flags)

    CommandLine({name: noted(name, each) for name, each in COMMANDS.items()}).parse(arguments)
    assert made == ["serve"]
