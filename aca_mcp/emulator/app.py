"""The emulator as an ASGI application: one request in, the service's answer out.

Knows the port and the wire; which pool is behind it, and how requests arrive, it does not.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from aca_mcp.emulator import catalogue
from aca_mcp.emulator.access import Access
from aca_mcp.emulator.faults import ConnectionDroppedError, Faults
from aca_mcp.emulator.operations import OperationRequest, Operations
from aca_mcp.emulator.page import page
from aca_mcp.emulator.routes import LEGACY_VERSIONS, SINCE, VERSIONS, Operation, find_route
from aca_mcp.emulator.sessions import POOL_SCOPE, EmulatedSessions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.pool import SessionPool

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """What a user can choose about an emulator."""

    access: Access = field(default_factory=Access)
    faults: Faults = field(default_factory=Faults)
    max_concurrent_sessions: int = 20
    """As the pool has it; said when it is full."""


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
        path = _raw_path(request)
        if request.method == "GET" and path == "/":
            return HTMLResponse(page(str(request.base_url).rstrip("/")))
        if request.method == "GET" and path == "/_internal/health":
            return PlainTextResponse("ok\n")
        try:
            return await self._serve(request, path)
        except catalogue.ServiceError as error:
            return catalogue.respond(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except ConnectionDroppedError:
            raise
        except Exception as error:
            return catalogue.respond(catalogue.internal_error(error))

    async def _serve(self, request: Request, path: str) -> Response:
        started = time.perf_counter()
        if self._faults.latency_seconds:
            await anyio.sleep(self._faults.latency_seconds)
        self._options.access.check(request.headers)
        if self._faults.take("expired-token"):
            raise catalogue.unauthorized()
        asked = self._understand(request, path)
        if kind := self._faults.take("429", "500", "503"):
            raise catalogue.ServiceError(int(kind), "Injected", "A fault that was asked for.")
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

    def _understand(self, request: Request, path: str) -> OperationRequest:
        route = find_route(request.method, path)
        if route is None:
            _logger.warning("The emulator has no %s %s", request.method, path[-100:])
            raise catalogue.not_here(f"The emulator has no operation {request.method} {path}.")
        version = request.query_params.get("api-version", "")
        if version not in VERSIONS:
            raise catalogue.invalid_api_version(version, VERSIONS)
        since = SINCE.get(route.operation, VERSIONS[0])
        if version < since:
            raise catalogue.not_here(f"This operation is there since api-version {since}.")
        session = POOL_SCOPE
        if route.operation not in (Operation.LIST_SESSIONS, Operation.METADATA):
            session = self._sessions.find(request.query_params.get("identifier", ""))
        base = str(request.base_url).rstrip("/") + route.prefix
        return OperationRequest(request, route, version, version in LEGACY_VERSIONS, session, base)


async def _unheard(_: Message) -> None:
    """Take an answer that nobody gets: what is done while it is sent is done."""


def _raw_path(request: Request) -> str:
    raw: object = request.scope.get("raw_path")
    return raw.decode("latin-1") if isinstance(raw, bytes) else quote(request.scope["path"])


@asynccontextmanager
async def open_emulator(
    pool: SessionPool, options: EmulatorOptions | None = None
) -> AsyncGenerator[ASGIApp]:
    """An emulator over a pool, as an ASGI application for as long as the context lasts."""
    sessions = EmulatedSessions(pool)
    async with anyio.create_task_group() as tasks:
        options = options or EmulatorOptions()
        operations = Operations(pool, sessions, tasks, options.max_concurrent_sessions)
        yield Emulator(sessions, operations, options)
        tasks.cancel_scope.cancel()
