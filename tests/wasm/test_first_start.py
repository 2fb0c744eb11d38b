"""The first start on a machine: once for all servers, whole or not at all, and nobody in the dark.

Compiled code is taken from whoever runs the tests, as compiling takes minutes; the memory image,
which is made by the same process under the same lock, is made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from aca_mcp.wasm.artifacts import find_artifacts
from aca_mcp.wasm.prepare import is_prepared, locate
from tests.support.calling import Caller
from tests.support.command_line import serving_pipes
from tests.wasm.pools import wasm_configuration

if TYPE_CHECKING:
    from pathlib import Path

PREIMPORT = ("numpy", "pandas", "matplotlib.pyplot")
"""As by default."""

# A busy machine takes many times what an idle one does for importing all of it.
pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with compiled code and no image."""
    there = locate(wasm_configuration().cache_directory, find_artifacts(), PREIMPORT)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    copied = cache / there.module.name
    try:
        shutil.copytree(there.module, copied, copy_function=os.link)
    except OSError:  # another file system
        shutil.rmtree(copied)
        shutil.copytree(there.module, copied)
    assert not is_prepared(cache, PREIMPORT)
    return cache


def preparing(cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "aca_mcp.wasm.prepare", str(cache), *PREIMPORT]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_at_once_make_it_once(cache: Path) -> None:
    both = [preparing(cache), preparing(cache)]
    said = [process.communicate(timeout=150)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    steps = [json.loads(line)["step"] for text in said for line in text.splitlines()]
    assert steps == ["importing"]
    assert is_prepared(cache, PREIMPORT)


def test_what_was_half_made_is_not_used(cache: Path) -> None:
    with preparing(cache) as killed:
        end = time.monotonic() + 100
        while not list(cache.glob("making-*/packages/IPython")) and time.monotonic() < end:
            time.sleep(0.01)
        killed.kill()
    assert list(cache.glob("making-*"))
    assert not is_prepared(cache, PREIMPORT)
    with preparing(cache) as second:
        assert second.wait(150) == 0
    assert is_prepared(cache, PREIMPORT)
    assert not list(cache.glob("making-*"))


def server_with(cache: Path) -> StdioServerParameters:
    """A server whose sessions are in WebAssembly, compiled into that cache."""
    return serving_pipes(ACA_MCP_POOL="wasm", ACA_MCP_WASM_CACHE_DIR=cache)


async def test_a_server_says_what_it_waits_for_and_answers_the_rest(cache: Path) -> None:
    heard: list[str] = []
    answered: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    with anyio.fail_after(150):
        async with Client(stdio_client(server_with(cache))) as client:

            async def execute() -> None:
                code = {"code": "6 * 7"}
                await client.call_tool("execute_python", code, progress_callback=hear)
                answered.append("execute_python")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(execute)
                assert len((await client.list_tools()).tools) > 3
                assert (await client.list_prompts()).prompts
                answered.append("the rest")
            assert await Caller(client)("execute_python", code="6 * 7") == "42"
    assert answered == ["the rest", "execute_python"]
    assert any("importing its libraries" in message for message in heard), heard


async def test_a_call_whose_time_is_up_first_says_that_nothing_was_executed(cache: Path) -> None:
    with anyio.fail_after(150):
        async with Client(stdio_client(server_with(cache))) as client:
            call = Caller(client)
            told = await call.refusal("execute_python", code="1", timeout_seconds=1)
            assert "Nothing was executed; try again" in told
            assert await call("execute_python", code="6 * 7", timeout_seconds=120) == "42"
