"""The package runs where it takes the system for macOS or Windows, as far as Linux can show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.support.calling import Caller

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]
SYSTEMS = ("darwin", "win32")


def command(system: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.wasm.foreign_system", system, *arguments]


def run(system: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(system, *arguments), capture_output=True, text=True, cwd=ROOT, timeout=55
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_doctor_finds_the_wasm_pool_and_says_how_far_it_was_tried(system: str) -> None:
    done = run(system, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"wasm, because no pool management endpoint is set and this is {system}" in done.stdout
    assert (
        "nothing else holds its process; this version was not tried on this system" in done.stdout
    )
    assert "1+1 = 2" in done.stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_code_runs_from_the_command_line(system: str) -> None:
    done = run(system, "exec", "import numpy; print(numpy.arange(4).sum())")
    assert (done.returncode, done.stdout) == (0, "6\n"), done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_only_linux_has_is_said_in_a_sentence(system: str) -> None:
    done = run(system, "env", "list")
    assert done.returncode != 0
    assert "Environments are for local sessions, which need Linux" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_client_over_stdio_is_served(system: str, tmp_path: Path) -> None:
    program, *arguments = command(system, "serve")
    server = StdioServerParameters(command=program, args=arguments, cwd=ROOT, env=dict(os.environ))
    with anyio.fail_after(55):
        async with Client(stdio_client(server)) as client:
            assert "Python runs in WebAssembly" in (client.instructions or "")
            call = Caller(client)
            assert await call("execute_python", code="x = 6") == "[done, no output]"
            assert await call("execute_python", code="print(x * 7)") == "42"
            told = await call.refusal("execute_python", code="!ls")
            assert "WebAssembly, which has no processes" in told


@contextmanager
def http_server(system: str) -> Generator[str]:
    arguments = command(system, "serve", "--transport", "http", "--port", "0")
    with subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stderr is not None
            for line in started.stderr:
                if (found := re.search(r"http://\S+", line)) is not None:
                    yield found.group()
                    return
            raise AssertionError("it did not say where it serves")
        finally:
            started.kill()


@pytest.mark.parametrize("system", SYSTEMS)
async def test_clients_over_http_are_served(system: str) -> None:
    with http_server(system) as address, anyio.fail_after(55):
        async with Client(address) as client:
            shown = await Caller(client)("execute_python", code="print(6 * 7)")
            assert shown.endswith("\n42")
