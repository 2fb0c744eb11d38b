"""Sessions whose packages come from an index of the tests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from aca_mcp.pools import open_session_pool
from aca_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from aca_mcp.pool import Execution, SessionPool
    from tests.support.package_index import Index


@asynccontextmanager
async def opened(index: Index, data_dir: Path, **changes: object) -> AsyncGenerator[SessionPool]:
    settings = Settings(
        data_dir=data_dir,
        package_index=index.url,
        local_preimport="",
        local_ready_sessions=0,
        **changes,  # pyright: ignore[reportArgumentType] -- named as the fields
    )
    async with open_session_pool(settings) as pool:
        yield pool


async def run(pool: SessionPool, code: str, identifier: str = "a-session") -> Execution:
    with anyio.fail_after(50):
        return await pool.execute(identifier, code, timeout_seconds=40)


async def printed(pool: SessionPool, code: str, identifier: str = "a-session") -> str:
    execution = await run(pool, code, identifier)
    assert execution.error is None, execution.error.traceback
    return execution.stdout.text + execution.stderr.text
