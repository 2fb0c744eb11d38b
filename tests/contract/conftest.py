"""Every way to reach a pool, for one suite."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from aca_mcp.local.pool import open_local_pool
from aca_mcp.pools import open_session_pool
from aca_mcp.settings import load_settings
from aca_mcp.wasm.pool import open_wasm_pool
from tests.local.pools import MEBIBYTE, configuration
from tests.support.emulators import POOL_PATH, azure_pool_at, emulator_process
from tests.wasm.pools import WASM, wasm_configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.pool import SessionPool

LIVE = "ACA_MCP_POOL_MANAGEMENT_ENDPOINT"
WAYS = ("local", "azure", *(["azure-live"] if LIVE in os.environ else []))
"""The wasm pool needs what `scripts/wasm` compiles, which then runs this suite on it."""
AS_BY_DEFAULT = configuration(
    max_timeout_seconds=600,
    max_output_bytes=MEBIBYTE,
    disk_bytes=512 * MEBIBYTE,
    max_file_bytes=128 * MEBIBYTE,
)
LIBRARIES = ("numpy", "pandas", "matplotlib.pyplot")
"""Imported ahead, once for all tests of the folder."""

collect_ignore = ["test_processes.py"] if WASM else []
"""Sessions in WebAssembly exclude processes, threads and compiled code that code loads; that they
say so is tested by ``test_what_the_pool_excludes_is_said_in_a_sentence``."""


@pytest.fixture(scope="package")
async def local() -> AsyncIterator[SessionPool]:
    """The pool of this machine."""
    async with open_local_pool(replace(AS_BY_DEFAULT, preimport=LIBRARIES)) as pool:
        yield pool


@pytest.fixture(scope="package")
async def azure() -> AsyncIterator[SessionPool]:
    """The Azure pool before an emulator, over a real socket."""
    with emulator_process(ACA_MCP_LOCAL_PREIMPORT=",".join(LIBRARIES)) as address:
        async with azure_pool_at(f"{address}{POOL_PATH}") as pool:
            yield pool


@pytest.fixture(scope="package")
async def azure_live() -> AsyncIterator[SessionPool]:
    """The Azure pool that the environment names."""
    async with open_session_pool(load_settings()) as pool:
        yield pool


@pytest.fixture(scope="package")
async def wasm() -> AsyncIterator[SessionPool]:
    """Sessions in WebAssembly, which have imported what they have by default."""
    async with open_wasm_pool(wasm_configuration()) as pool:
        yield pool


@pytest.fixture(scope="module", params=["wasm"] if WASM else WAYS)
def pool(request: pytest.FixtureRequest) -> SessionPool:
    """A pool, reached in each way, that all tests of the folder share."""
    way: str = request.param
    return request.getfixturevalue(way.replace("-", "_"))


@pytest.fixture
async def identifier(pool: SessionPool) -> AsyncIterator[str]:
    """A session of the test's own, ended after it."""
    made = secrets.token_urlsafe(24)
    yield made
    await pool.stop_session(made)
