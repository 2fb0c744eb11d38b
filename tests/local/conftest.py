"""A local pool that tests share, and a guard of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from tests.local.pools import configuration, new_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(autouse=True)
def nothing_blocks() -> Iterator[None]:
    """Whatever the pool does that could block the event loop is an error."""
    with blockbuster_ctx("aca_mcp.local") as guard:
        # What the kernel makes up at once, from memory.
        guard.functions["os.read"].can_block_in("aca_mcp/local/descriptors.py", "pid_behind")
        yield


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[LocalSessionPool]:
    """A pool that the tests of one module share, each with sessions of its own."""
    async with open_local_pool(configuration()) as opened:
        yield opened


@pytest.fixture
async def identifier(pool: LocalSessionPool) -> AsyncIterator[str]:
    """A session of the test's own, ended after it."""
    made = new_identifier()
    yield made
    await pool.stop_session(made)
