"""The sessions of one client connection: its own, and those that it asked for by handle.

They live exactly as long as the connection: while it is open they are kept alive however long the
model thinks, and when it ends they are stopped.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import PoolFullError, SessionPoolError
from aca_mcp.server.handles import check_handle, derive_identifier, new_handle
from aca_mcp.session import STOP_SECONDS, PythonSession

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import SessionPool

_logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 120
"""How often sessions are kept alive; the shortest cooldown that Azure allows is 300 seconds."""
MAX_IDLE_SECONDS = 8 * 3600
"""A session that was not used for this long is left to its pool's cooldown."""
_MAX_HANDLES = 100
_CONNECTION = ""
"""The key of the connection's own session. No handle is empty."""


class Sessions:
    """The sessions of one connection."""

    def __init__(self, pool: SessionPool) -> None:
        """Describe them; nothing is allocated before it is used."""
        self._pool = pool
        # Handles are good on this connection alone, so their secret can die with it.
        self._secret = secrets.token_bytes(32)
        self._principal = ""
        self._sessions: dict[str, PythonSession] = {}
        self._open(_CONNECTION)

    def get(self, handle: str) -> PythonSession:
        """The session of a handle, or the connection's own for an empty one.

        Raises:
            InvalidRequestError: this connection has no such handle.
        """
        if session := self._sessions.get(handle):
            return session
        return self._open(check_handle(self._secret, self._principal, handle))

    def start(self) -> str:
        """Make a further session, and return its handle.

        Raises:
            PoolFullError: the connection has too many.
        """
        if len(self._sessions) > _MAX_HANDLES:
            raise PoolFullError(
                f"This connection has {_MAX_HANDLES} further sessions already. "
                "Use one of them; restart_session empties it."
            )
        handle = new_handle(self._secret, self._principal)
        self._open(handle)
        return handle

    async def keep_alive(self) -> None:
        """Keep the sessions that were used within ``MAX_IDLE_SECONDS`` alive, until cancelled."""
        while True:
            await anyio.sleep(KEEP_ALIVE_SECONDS)
            for session in list(self._sessions.values()):
                if session.idle_seconds < MAX_IDLE_SECONDS:
                    try:
                        await session.keep_alive()
                    except SessionPoolError as error:
                        _logger.warning("A session was not kept alive: %s", error)

    async def close(self, *, within_seconds: float = STOP_SECONDS) -> None:
        """Stop all of them at once, whatever runs in them."""
        async with anyio.create_task_group() as stopping:
            for session in self._sessions.values():
                stopping.start_soon(partial(session.close, within_seconds=within_seconds))

    def _open(self, key: str) -> PythonSession:
        identifier = derive_identifier(self._secret, self._principal, key)
        session = self._sessions[key] = PythonSession(self._pool, identifier=identifier)
        return session


@asynccontextmanager
async def open_sessions(pool: SessionPool) -> AsyncGenerator[Sessions]:
    """The sessions of a connection, for as long as the block lasts."""
    sessions = Sessions(pool)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sessions.keep_alive)
        try:
            yield sessions
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await sessions.close()
