"""Every operation of the service, done by a session pool."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from aca_mcp.emulator import bodies, catalogue
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.emulator.multipart import read_uploaded_file
from aca_mcp.emulator.requests import checked_directory, read_execution_request, uploaded_name
from aca_mcp.emulator.routes import Operation
from aca_mcp.errors import InvalidPathError, SessionPoolError
from aca_mcp.pool import FileEntry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from aca_mcp.emulator.routes import Route
    from aca_mcp.emulator.sessions import EmulatedSession, EmulatedSessions, StoredExecution
    from aca_mcp.pool import FileDownload, SessionPool

_MAX_REQUEST_BYTES = 32 * 2**20
_FORM_BYTES = 64 * 1024
"""What a form may have around its file."""
_PAGE_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A request that is known to be one of the service's."""

    http: Request
    route: Route
    version: str
    legacy: bool
    """It is asked, and to be answered, in the older dialect."""
    session: EmulatedSession
    """The one that it names; for operations on the pool, one that is none."""
    base_url: str
    """Where the pool is for this client."""


class Operations:
    """The operations of one emulator."""

    def __init__(
        self,
        pool: SessionPool,
        sessions: EmulatedSessions,
        tasks: TaskGroup,
        max_concurrent_sessions: int,
    ) -> None:
        """Describe them.

        Args:
            pool: what does the work.
            sessions: what clients have named.
            tasks: where asynchronous executions run.
            max_concurrent_sessions: said when the pool is full.
        """
        self._pool = pool
        self._sessions = sessions
        self._tasks = tasks
        self._max_concurrent_sessions = max_concurrent_sessions
        self._started_at = datetime.now(UTC)
        self._table: dict[Operation, Callable[[OperationRequest], Awaitable[Response]]] = {
            Operation.EXECUTE: self._execute,
            Operation.GET_EXECUTION: self._get_execution,
            Operation.LIST_FILES: self._list_files,
            Operation.UPLOAD_FILE: self._upload_file,
            Operation.GET_FILE: self._get_file,
            Operation.READ_FILE: self._read_file,
            Operation.DELETE_FILE: self._delete_file,
            Operation.GET_SESSION: self._get_session,
            Operation.DELETE_SESSION: self._delete_session,
            Operation.STOP_SESSION: self._stop_session,
            Operation.LIST_SESSIONS: self._list_sessions,
            Operation.METADATA: self._metadata,
        }
        self._using = frozenset(self._table) - {
            Operation.GET_EXECUTION,
            Operation.GET_SESSION,
            Operation.DELETE_SESSION,
            Operation.STOP_SESSION,
            Operation.LIST_SESSIONS,
            Operation.METADATA,
        }
        """What a session is allocated for."""

    async def answer(self, request: OperationRequest) -> Response:
        """Do what is asked, or say as the service does why not."""
        operation, session = request.route.operation, request.session
        using = operation in self._using
        new = False
        try:
            new = using and await self._sessions.allocate(session)
            response = await self._table[operation](request)
        except catalogue.ServiceError as error:
            response = catalogue.respond(error)
        except SessionPoolError as error:
            active = len(await self._sessions.active())
            refused = catalogue.of_pool(error, active, self._max_concurrent_sessions)
            response = catalogue.respond(refused)
        if using and session.etag:
            response.headers.setdefault("x-ms-new-allocation", "true" if new else "false")
            response.headers["x-ms-session-etag"] = session.etag
            response.headers["x-ms-session-guid"] = session.etag
        return response

    async def _execute(self, request: OperationRequest) -> Response:
        asked = read_execution_request(await _read_body(request.http))
        execution_id = request.http.headers.get("operation-id") or str(uuid.uuid4())
        session = request.session
        stored = session.store(execution_id, asked)
        if asked.kind == "Asynchronous" and not request.legacy:
            self._tasks.start_soon(self._run, session, stored)
        else:
            await self._run(session, stored)
        if not request.legacy:
            response = self._execution_response(request, execution_id, stored)
        elif stored.result is not None:
            response = JSONResponse(bodies.legacy_execution_body(stored.result, asked.form))
        else:
            raise stored.failure or catalogue.no_execution(execution_id)
        if stored.result is not None and stored.result.started_session:
            # It died between being found alive and being used.
            session.etag = str(uuid.uuid4())
            response.headers["x-ms-new-allocation"] = "true"
        return response

    async def _run(self, session: EmulatedSession, stored: StoredExecution) -> None:
        asked = stored.request
        try:
            stored.result = await self._pool.execute(
                session.pool_identifier, asked.code, timeout_seconds=asked.timeout_seconds
            )
        except SessionPoolError as error:
            stored.failure = error
        except Exception as error:
            # In the background nobody above could answer for it, and it would end the emulator.
            stored.failure = catalogue.internal_error(error)

    def _execution_response(
        self, request: OperationRequest, execution_id: str, stored: StoredExecution
    ) -> Response:
        if stored.failure is not None:
            raise stored.failure
        identifier = request.session.identifier
        body = bodies.execution_body(
            execution_id, identifier, stored.request.kind, stored.result, stored.request.form
        )
        query = f"api-version={request.version}&identifier={quote(identifier, safe='')}"
        location = f"{request.base_url}/executions/{quote(execution_id, safe='')}?{query}"
        return JSONResponse(
            body, headers={"operation-id": execution_id, "Operation-Location": location}
        )

    async def _get_execution(self, request: OperationRequest) -> Response:
        stored = request.session.executions.get(request.route.name)
        if stored is None:
            raise catalogue.no_execution(request.route.name)
        return self._execution_response(request, request.route.name, stored)

    async def _list_files(self, request: OperationRequest) -> Response:
        pool_identifier = request.session.pool_identifier
        directory = _directory(request)
        recursive = request.http.query_params.get("recursive", "").lower() == "true"
        listing = await self._pool.list_files(
            pool_identifier, directory, recursive=recursive and not request.legacy
        )
        if request.legacy:
            return JSONResponse(bodies.legacy_file_list_body(listing.entries))
        return JSONResponse(bodies.file_list_body(listing.entries, directory))

    async def _upload_file(self, request: OperationRequest) -> Response:
        content_type = request.http.headers.get("content-type", "")
        body = _bounded(request.http.stream())
        async with read_uploaded_file(content_type, body) as uploaded:
            if uploaded.size_bytes > catalogue.MAX_FILE_BYTES:
                raise catalogue.too_large()
            path = _join(_directory(request), uploaded_name(uploaded.file_name))
            entry = await self._pool.upload_file(
                request.session.pool_identifier, path, uploaded.content
            )
        if request.legacy:
            return JSONResponse({"$id": "1", "value": [bodies.legacy_file_body(entry, 2)]})
        return JSONResponse(bodies.file_body(entry))

    async def _get_file(self, request: OperationRequest) -> Response:
        entry = await self._find(request.session.pool_identifier, _path(request))
        if request.legacy:
            return JSONResponse(bodies.legacy_file_body(entry))
        return JSONResponse(bodies.file_body(entry))

    async def _find(self, pool_identifier: str, path: str) -> FileEntry:
        try:
            async with self._pool.download_file(pool_identifier, path) as download:
                return download.entry
        except InvalidPathError:
            await self._pool.list_files(pool_identifier, path)  # it is a directory, or refused
            return FileEntry(path, "directory", 4096, datetime.now(UTC))

    async def _read_file(self, request: OperationRequest) -> Response:
        opened = AsyncExitStack()
        download = await opened.enter_async_context(
            self._pool.download_file(request.session.pool_identifier, _path(request))
        )
        return _FileResponse(opened, download)

    async def _delete_file(self, request: OperationRequest) -> Response:
        await self._pool.delete_file(request.session.pool_identifier, _path(request))
        return Response(status_code=204)

    async def _get_session(self, request: OperationRequest) -> Response:
        info = await self._sessions.look_at(request.session)
        if info is None:
            raise catalogue.no_session(request.session.identifier)
        body = bodies.session_body(request.session.identifier, info, request.session.etag)
        return JSONResponse(body, headers={"x-ms-session-etag": request.session.etag})

    async def _delete_session(self, request: OperationRequest) -> Response:
        await self._stop(request)
        return Response(status_code=204)

    async def _stop_session(self, request: OperationRequest) -> Response:
        await self._stop(request)
        pool_name = PurePosixPath(request.route.prefix).name or "emulator"
        return PlainTextResponse(
            f"Session {request.session.identifier} in session pool {pool_name} stopped."
        )

    async def _stop(self, request: OperationRequest) -> None:
        if not await self._sessions.stop(request.session):
            raise catalogue.no_session(request.session.identifier)

    async def _list_sessions(self, request: OperationRequest) -> Response:
        given = request.http.query_params.get("skip", "0")
        skip = int(given) if given.isascii() and given.isdigit() else 0
        found = await self._sessions.active()
        shown = found[skip : skip + _PAGE_SESSIONS]
        body: bodies.Json = {
            "sessions": [
                bodies.session_body(session.identifier, info, session.etag)
                for session, info in shown
            ]
        }
        if skip + len(shown) < len(found):
            query = f"api-version={request.version}&skip={skip + len(shown)}"
            body["nextLink"] = f"{request.base_url}/listSessions?{query}"
        return JSONResponse(body)

    async def _metadata(self, request: OperationRequest) -> Response:
        return JSONResponse(bodies.metadata_body(await self._pool.metadata(), self._started_at))


def _directory(request: OperationRequest) -> str:
    return "" if request.legacy else checked_directory(request.http.query_params.get("path", ""))


def _path(request: OperationRequest) -> str:
    name = request.route.name.removeprefix("/mnt/data/")
    if "/" in name or name in ("", ".", ".."):
        raise catalogue.invalid_file_name(name)
    return _join(_directory(request), name)


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_REQUEST_BYTES:
            raise catalogue.too_large("The request is larger than 32 MB.")
    return bytes(body)


async def _bounded(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > catalogue.MAX_FILE_BYTES + _FORM_BYTES:
            raise catalogue.too_large()
        yield chunk


class _FileResponse(StreamingResponse):
    """A file, open until it is sent or nobody reads it any more."""

    def __init__(self, opened: AsyncExitStack, download: FileDownload) -> None:
        headers = {
            "content-length": str(download.entry.size_bytes),
            "last-modified": format_datetime(download.entry.modified_at, usegmt=True),
        }
        super().__init__(download.chunks, headers=headers, media_type="application/octet-stream")
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._opened:
                await super().__call__(scope, receive, send)
        except Exception as error:
            catalogue.internal_error(error)
            raise ConnectionDroppedError from error  # the answer has begun: there is no other
