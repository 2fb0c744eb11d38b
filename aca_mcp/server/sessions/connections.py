"""The connections of streamable HTTP, each with the session that belongs to it.

Only clients of the handshake era have a connection there: it begins with ``initialize``, the SDK
names it by ``Mcp-Session-Id`` and holds it to the principal that opened it, and it ends with
DELETE, after too long a silence, or with the server. Newer requests stand alone, and a header of
that name which they send means nothing; the SDK gives those a connection without an identifier.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.connection import Connection
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from aca_mcp.server.sessions.client_sessions import ClientSessions, OpenSession


class HttpConnections:
    """Which session belongs to which connection.

    Args:
        sessions: of all clients.
        principal: who makes the request that is being served.
    """

    def __init__(self, sessions: ClientSessions, principal: Callable[[], str]) -> None:
        self._sessions = sessions
        self._principal = principal
        self._own: dict[str, OpenSession] = {}

    async def begin(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Count a connection from its first message on; a middleware of the SDK."""
        if ctx.method == "initialize":
            self.own_session(ctx, self._principal())
        return await call_next(ctx)

    def own_session(
        self, request: ServerRequestContext[Any, Any], principal: str
    ) -> OpenSession | None:
        """The session of the connection that a call came by; None if it came by none."""
        # The SDK's public context does not lead to its public Connection, which alone tells when
        # a connection ends.
        connection: Connection = request.session._connection  # pyright: ignore[reportPrivateUsage] -- as said above
        if (key := connection.session_id) is None:
            return None
        if (own := self._own.get(key)) is None:
            own = self._own[key] = self._sessions.open_own(principal)
            connection.exit_stack.push_async_callback(partial(self._end, key))
        return own

    async def _end(self, key: str) -> None:
        # The SDK waits for five seconds at most, and shields what it waits for.
        await self._sessions.end(self._own.pop(key), within_seconds=4)
