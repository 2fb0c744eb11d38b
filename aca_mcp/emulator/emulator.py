"""The emulator as an ASGI application: one request in, the service's answer out.

Knows the port and the wire; which pool is behind it, and how requests arrive, it does not.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from aca_mcp.emulator import service_errors
from aca_mcp.emulator.emulated_sessions import (
    POOL_SCOPE,
    PREPARATION,
    SHELL_PREPARATION,
    EmulatedSessions,
)
from aca_mcp.emulator.execution_requests import read_fields
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.emulator.operation_request import OperationRequest, query_of
from aca_mcp.emulator.operations import Operations
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.emulator.page import page
from aca_mcp.emulator.recording import Recorder
from aca_mcp.emulator.routes import (
    LEGACY_VERSIONS,
    SINCE,
    VERSIONS,
    Operation,
    find_route,
    raw_path,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.emulator.routes import Dialect, Route
    from aca_mcp.pool import SessionPool

_logger = logging.getLogger(__name__)

_MAX_REQUEST_BYTES = 32 * 2**20
_ON_THE_POOL = frozenset(
    {Operation.LIST_SESSIONS, Operation.MANAGE_LIST_SESSIONS, Operation.METADATA}
)


class Emulator:
    """Answers requests. Made by ``open_emulator``."""

    def __init__(
        self, sessions: EmulatedSessions, operations: Operations, options: EmulatorOptions
    ) -> None:
        self._sessions = sessions
        self._operations = operations
        self._options = options
        self._faults = options.faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = raw_path(request.scope)
        if request.method == "GET" and path == "/":
            return HTMLResponse(page(str(request.base_url).rstrip("/")))
        if request.method == "GET" and path == "/_internal/health":
            return PlainTextResponse("ok\n")
        try:
            return await self._serve(request, path)
        except service_errors.ServiceError as error:
            return service_errors.respond(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except ConnectionDroppedError:
            raise
        except Exception as error:
            return service_errors.respond(service_errors.internal_error(error))

    async def _serve(self, request: Request, path: str) -> Response:
        started = time.perf_counter()
        if self._faults.latency_seconds:
            await anyio.sleep(self._faults.latency_seconds)
        self._options.access.check(request.headers)
        if self._faults.take("expired-token"):
            raise service_errors.unauthorized()
        asked = await self._understand(request, path)
        if kind := self._faults.take("429", "500", "503"):
            raise service_errors.ServiceError(int(kind), "Injected", "A fault that was asked for.")
        if self._faults.take("session-loss"):
            await self._sessions.lose_all()
        if self._faults.take("drop-before"):
            raise ConnectionDroppedError
        response = await self._operations.answer(asked)
        if self._faults.take("drop-after"):
            await response(request.scope, request.receive, _unheard)
            raise ConnectionDroppedError
        if self._faults.take("malformed"):
            await response(request.scope, request.receive, _unheard)
            return Response(b'{"properties": {"status": ', 200, media_type="application/json")
        elapsed = str(round((time.perf_counter() - started) * 1000))
        response.headers["x-ms-overall-execution-time"] = elapsed
        response.headers["api-supported-versions"] = ", ".join(VERSIONS)
        response.headers["mise-correlation-id"] = str(uuid.uuid4())
        return response

    async def _understand(self, request: Request, path: str) -> OperationRequest:
        route = find_route(request.method, path)
        if route is None:
            _logger.warning("The emulator has no operation %s of that path", request.method[:10])
            raise service_errors.not_supported(f"There is no operation {request.method} {path}.")
        query = query_of(request)
        version = query.get("api-version", "").lower()
        if version not in VERSIONS and not route.is_earliest:
            raise service_errors.invalid_api_version(version, VERSIONS)
        since = SINCE.get(route.operation, VERSIONS[0])
        if version < since and not route.is_earliest:
            raise service_errors.not_supported(
                f"This operation is there since api-version {since}."
            )
        dialect = _dialect(route, version)
        fields: Mapping[str, object] = {}
        if route.operation is Operation.EXECUTE:
            fields = read_fields(await _read_body(request), dialect)
        session = POOL_SCOPE
        if route.operation not in _ON_THE_POOL:
            given = query.get("identifier") or (dialect != "flat" and fields.get("identifier"))
            session = self._sessions.find(given if isinstance(given, str) else "")
        base = str(request.base_url).rstrip("/") + route.prefix
        return OperationRequest(request, route, version, dialect, session, base, query, fields)


def _dialect(route: Route, version: str) -> Dialect:
    if route.is_earliest:
        return "python"
    return "legacy" if version in LEGACY_VERSIONS else "flat"


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_REQUEST_BYTES:
            raise service_errors.too_large("The request is larger than 32 MB.")
    return bytes(body)


async def _unheard(_: Message) -> None:
    """Take an answer that nobody gets: what is done while it is sent is done."""


@asynccontextmanager
async def open_emulator(
    pool: SessionPool, options: EmulatorOptions | None = None
) -> AsyncGenerator[ASGIApp]:
    """An emulator over a pool, as an ASGI application for as long as the context lasts."""
    options = options or EmulatorOptions()
    preparation = SHELL_PREPARATION if options.is_shell else PREPARATION
    sessions = EmulatedSessions(pool, preparation)
    async with anyio.create_task_group() as tasks:
        operations = Operations(pool, sessions, tasks, options)
        app = Emulator(sessions, operations, options)
        yield Recorder(app, options.record) if options.record is not None else app
        tasks.cancel_scope.cancel()
