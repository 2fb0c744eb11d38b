"""A client of a server over a pool, in this process: what most tests of the server begin with."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from mcp import Client

from aca_mcp.server.app import ServerOptions, create_server, open_work_dir
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.support.calling import Caller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from aca_mcp.pool import SessionPool

    Connect = Callable[..., AbstractAsyncContextManager[Caller]]

Era = Literal["legacy", "2026-07-28"]


@asynccontextmanager
async def connected(
    pool: SessionPool,
    options: ServerOptions | None = None,
    *,
    era: Era = "legacy",
    **settings: Any,
) -> AsyncGenerator[Caller]:
    """Connect a client.

    Args:
        pool: where sessions come from.
        options: of the server.
        era: the protocol era that the client opens with.
        settings: of the sessions, as ``open_sessions`` takes them.
    """
    chosen = options or ServerOptions()
    async with open_sessions(pool, **settings) as sessions:
        with open_work_dir(chosen) as work_dir:
            server = create_server(Callers(sessions), chosen, work_dir=work_dir)
            async with Client(server, mode=era) as client:
                yield Caller(client)
