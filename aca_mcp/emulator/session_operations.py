"""The operations on sessions and on the pool, in the plain family and the management one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

from aca_mcp.emulator import response_bodies as bodies
from aca_mcp.emulator import service_errors

if TYPE_CHECKING:
    from aca_mcp.emulator.emulated_sessions import EmulatedSessions
    from aca_mcp.emulator.operation_request import OperationRequest
    from aca_mcp.pool import SessionPool


class SessionOperations:
    """Telling of sessions and ending them.

    Args:
        pool: tells what its sessions have.
        sessions: what clients have named.
        is_shell: the pool that is emulated has a shell and no Python.
        page: how many sessions a list has before it goes on at another address.
    """

    def __init__(
        self, pool: SessionPool, sessions: EmulatedSessions, *, is_shell: bool, page: int
    ) -> None:
        self._pool = pool
        self._sessions = sessions
        self._is_shell = is_shell
        self._page = page
        self._started_at = datetime.now(UTC)

    async def get(self, request: OperationRequest) -> Response:
        """A session that is there."""
        session = request.session
        info = await self._sessions.look_at(session)
        if info is None:
            raise service_errors.no_session(session.identifier)
        body = bodies.session_body(session.identifier, info, session.etag)
        return JSONResponse(body, headers={"x-ms-session-etag": session.etag})

    async def delete(self, request: OperationRequest) -> Response:
        """End a session."""
        if not await self._sessions.stop(request.session):
            raise service_errors.no_session(request.session.identifier)
        return Response(status_code=204)

    async def list(self, request: OperationRequest) -> Response:
        """A page of the sessions."""
        found, link = await self._paged(request, "listSessions")
        sessions = [bodies.session_body(*each) for each in found]
        return JSONResponse({"sessions": sessions} | link)

    async def manage_get(self, request: OperationRequest) -> Response:
        """The same as ``get``, in the management family."""
        session = request.session
        info = await self._sessions.look_at(session)
        if info is None:
            raise service_errors.no_session_to_manage(session.identifier)
        return JSONResponse(bodies.managed_session_body(session.identifier, info, session.etag))

    async def manage_stop(self, request: OperationRequest) -> Response:
        """The same as ``delete``, in the management family."""
        identifier = request.session.identifier
        if not await self._sessions.stop(request.session):
            raise service_errors.no_session_to_manage(identifier)
        pool_name = PurePosixPath(request.route.prefix).name or "emulator"
        return PlainTextResponse(f"Session {identifier} in session pool {pool_name} stopped.")

    async def manage_list(self, request: OperationRequest) -> Response:
        """The same as ``list``, in the management family."""
        found, link = await self._paged(request, ".management/listSessions")
        value = [bodies.managed_session_body(*each) for each in found]
        return JSONResponse({"value": value, "count": len(value)} | link)

    async def metadata(self, request: OperationRequest) -> Response:
        """What the sessions of the pool have."""
        metadata = await self._pool.metadata()
        return JSONResponse(
            bodies.metadata_body(metadata, self._started_at, is_shell=self._is_shell)
        )

    async def _paged(
        self, request: OperationRequest, operation: str
    ) -> tuple[list[bodies.NamedSession], dict[str, object]]:
        given = request.query.get("skip", "0")[:9]
        skip = int(given) if given.isascii() and given.isdigit() else 0
        active = await self._sessions.active()
        shown = [
            (session.identifier, info, session.etag)
            for session, info in active[skip : skip + self._page]
        ]
        if skip + len(shown) >= len(active):
            return shown, {}
        query = f"api-version={request.version}&skip={skip + len(shown)}"
        return shown, {"nextLink": f"{request.base_url}/{operation}?{query}"}
