"""A pool of which a test uses one session, and waits for its copies."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, copied, new_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import Execution


class Used:
    """One session of a pool."""

    def __init__(self, pool: LocalSessionPool) -> None:
        self.pool = pool
        self.identifier = new_identifier()

    async def run(self, code: str, *, seconds: float = 30) -> Execution:
        return await self.pool.execute(self.identifier, code, timeout_seconds=seconds)

    async def value(self, code: str) -> str:
        execution = await self.run(code)
        assert execution.error is None, execution.error
        assert execution.session_lost is None
        (output,) = execution.outputs
        return str(output.data["text/plain"])

    async def settled(self) -> None:
        """Wait until there is a copy of what the variables are now."""
        await copied(self.pool, self.identifier)

    async def kept(self, number: int) -> None:
        """Wait until so many copies are there."""

        async def look() -> int | None:
            info = await self.pool.get_session(self.identifier)
            return info and info.checkpoints

        with anyio.fail_after(20):
            while await look() != number:  # noqa: ASYNC110 -- there is no event
                await anyio.sleep(0.01)


@asynccontextmanager
async def session(**changes: object) -> AsyncGenerator[Used]:
    async with open_local_pool(configuration(**{"checkpoints": 1, **changes})) as pool:
        yield Used(pool)
