"""Who makes a call, and so which sessions it may use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from aca_mcp.errors import InvalidRequestError
from aca_mcp.request_context import serving
from aca_mcp.server.audit import note_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from aca_mcp.server.sessions.client_sessions import ClientSessions, OpenSession
    from aca_mcp.server.sessions.connections import HttpConnections
    from aca_mcp.server.sessions.execution import SessionExecution

    Request = ServerRequestContext[Any, Any]


class Caller(NamedTuple):
    """Who makes a call, and so which sessions it may use."""

    sessions: ClientSessions
    principal: str
    own: OpenSession | None
    """Of its connection, or None where the transport has no connections."""

    async def session(self, handle: str) -> OpenSession:
        """The session of a handle, or the connection's own for an empty one.

        Raises:
            InvalidRequestError: the client has no such handle, or gave none and has no connection.
            SessionLostError: the handle's session has ended.
        """
        if handle:
            session = await self.sessions.find(self.principal, handle)
            note_session(session.python.identifier)
            return session
        if self.own is None:
            raise InvalidRequestError(
                "`session` is missing: pass the handle that execute_python, upload_file or "
                "start_session returned. Nothing was executed."
            )
        note_session(self.own.python.identifier)
        return self.own

    @property
    def comes_back(self) -> bool:
        """Its further requests reach this process, not another that shares the secret."""
        return self.own is not None or self.sessions.is_alone

    def find_task(self, name: str) -> tuple[OpenSession, SessionExecution] | None:
        """An execution in one of these sessions by its task's name, or None."""
        own = [self.own] if self.own is not None else []
        for session in [*own, *self.sessions.by_handle(self.principal)]:
            if execution := session.executions.find_task(name):
                return session, execution
        return None

    @asynccontextmanager
    async def session_or_new(self, handle: str) -> AsyncGenerator[tuple[OpenSession, str]]:
        """The same, and a new session where there is none, with what the client must know of it.

        Raises:
            InvalidRequestError: the client has no such handle.
            SessionLostError: the handle's session has ended.
            HandlesUsedUpError: the client has too many sessions by handle.
        """
        if handle or self.own is not None:
            yield await self.session(handle), ""
            return
        async with self.new_session() as session:
            remark = (
                f'[This is a new session. Pass session="{session.handle}" to every further call '
                "that is to find its variables and files.]"
            )
            yield session, remark

    @asynccontextmanager
    async def new_session(self, environment: str = "") -> AsyncGenerator[OpenSession]:
        """A further session, which stays if the block succeeds: only then is its handle told.

        Raises:
            HandlesUsedUpError: the client has too many sessions by handle.
        """
        session = self.sessions.start(self.principal, environment)
        note_session(session.python.identifier)
        try:
            yield session
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.sessions.end(session)
            raise


class Callers:
    """Tells who makes a call, by how it came.

    Args:
        sessions: of all clients.
        principal: who makes the call that is being served; empty where clients are not told
            apart.
        connections: of streamable HTTP, for a server that is served so; None for one whose
            lifespan is a connection's, as on stdio and SSE.
    """

    def __init__(
        self,
        sessions: ClientSessions,
        principal: Callable[[], str] = lambda: "",
        *,
        connections: HttpConnections | None = None,
    ) -> None:
        self.sessions = sessions
        self._principal = principal
        self._connections = connections

    @property
    def have_connections(self) -> bool:
        """Every client has a connection, and so a session of its own."""
        return self._connections is None

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[OpenSession | None]:
        """The connection's own session, where the SDK enters a lifespan for each connection."""
        if self._connections is not None:  # entered once for all of them
            yield None
            return
        own = self.sessions.open_own(self._principal())
        try:
            yield own
        finally:
            await self.sessions.end(own)

    async def middleware(self, ctx: Request, call_next: CallNext) -> HandlerResult:
        """Of an MCP server: say for whom a request is served, to what knows no callers."""
        with serving(principal=self._principal()):
            return await call_next(ctx)

    def of(self, request: Request) -> Caller:
        """Who makes a call."""
        principal = self._principal()
        own = (
            request.lifespan_context
            if self._connections is None
            else self._connections.own_session(request, principal)
        )
        return Caller(self.sessions, principal, own)
