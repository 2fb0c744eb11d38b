"""Every way to reach a pool, for one suite."""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pools import open_session_pool
from aca_mcp.settings import load_settings
from aca_mcp.wasm.pool import open_wasm_pool
from tests.local.pools import MEBIBYTE, configuration
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at, emulator_process
from tests.wasm.pools import WASM, wasm_configuration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.pool import SessionPool

LIVE = "ACA_MCP_POOL_MANAGEMENT_ENDPOINT"
WAYS = (
    "local",
    "azure-in-process",
    "azure-over-http",
    *(["azure-live"] if LIVE in os.environ else []),
)
"""The wasm pool needs what `scripts/wasm` compiles, which then runs this suite on it."""
AS_BY_DEFAULT = configuration(
    max_timeout_seconds=600,
    max_output_bytes=MEBIBYTE,
    disk_bytes=512 * MEBIBYTE,
    max_file_bytes=128 * MEBIBYTE,
)
LIBRARIES = ("numpy", "pandas", "matplotlib.pyplot")
DRAWING = {"test_executing", "test_habits"}
"""Whose tests use the libraries; sessions of the others have imported none ahead."""


collect_ignore = ["test_processes.py"] if WASM else []
"""Sessions in WebAssembly exclude processes, threads and compiled code that code loads; that they
say so is tested by ``test_what_the_pool_excludes_is_said_in_a_sentence``."""


@asynccontextmanager
async def pool_by(way: str, preimport: tuple[str, ...] = ()) -> AsyncGenerator[SessionPool]:
    """Reach a pool in one of the ways. In WebAssembly it has imported what that has by default."""
    configuration = replace(AS_BY_DEFAULT, preimport=preimport)
    if way == "local":
        async with open_local_pool(configuration) as local:
            yield local
    elif way == "wasm":
        async with open_wasm_pool(wasm_configuration()) as wasm:
            yield wasm
    elif way == "azure-in-process":
        async with open_local_pool(configuration) as local, open_emulator(local) as app:
            endpoint = f"http://127.0.0.1{POOL_PATH}"
            async with azure_pool_at(endpoint, transport=InProcess(app)) as azure:
                yield azure
    elif way == "azure-over-http":
        with emulator_process(ACA_MCP_LOCAL_PREIMPORT=",".join(preimport) or "json") as address:
            async with azure_pool_at(f"{address}{POOL_PATH}") as azure:
                yield azure
    else:
        async with open_session_pool(load_settings()) as live:
            yield live


@pytest.fixture(scope="module", params=["wasm"] if WASM else WAYS)
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[SessionPool]:
    """A pool, reached in each way. Live Azure where its endpoint is in the environment."""
    way: str = request.param
    preimport = LIBRARIES if request.path.stem in DRAWING else ()
    async with pool_by(way, preimport) as opened:
        yield opened


@pytest.fixture
async def identifier(pool: SessionPool) -> AsyncIterator[str]:
    """A session of the test's own, ended after it."""
    made = secrets.token_urlsafe(24)
    yield made
    await pool.stop_session(made)
