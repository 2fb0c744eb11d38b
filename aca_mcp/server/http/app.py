"""Puts the HTTP side together: routes, and what each request passes on its way to them.

Order matters. Outermost is the guard, which needs nothing but headers; then authentication, so
that what follows knows the principal; then limits; then the transports. Probes pass them all,
and transfer links, which are their own credential and count for their own principal, all but the
guard.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route

from aca_mcp.server.app import create_server, open_work_dir
from aca_mcp.server.auth.principal import principal
from aca_mcp.server.callers import Callers
from aca_mcp.server.http.body_limits import BodyLimitMiddleware
from aca_mcp.server.http.guard import Guard, GuardMiddleware
from aca_mcp.server.http.health import Health
from aca_mcp.server.http.metrics import metrics_endpoint
from aca_mcp.server.http.page import Page
from aca_mcp.server.http.rate_limits import Limits, LimitsMiddleware, share_of
from aca_mcp.server.http.request_normalization import NormalizationMiddleware
from aca_mcp.server.http.streams import open_streams
from aca_mcp.server.http.transfers import TRANSFERS_PATH, TransfersMiddleware
from aca_mcp.server.requests_in_flight import InFlight
from aca_mcp.server.sessions.connections import HttpConnections
from aca_mcp.server.tools.transfer_link import LinkOffer
from aca_mcp.server.transfers.links import Links

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from aca_mcp.hosts import HostName
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.auth.authentication import Authentication
    from aca_mcp.server.python_server import PythonServer
    from aca_mcp.server.sessions.client_sessions import ClientSessions
    from aca_mcp.server.types import Ctx

_logger = logging.getLogger(__name__)

_HEALTH = "/healthz"
_READINESS = "/readyz"
PROBES = frozenset({_HEALTH, _READINESS})
"""Paths that tell nothing and do nothing: asked by any name, by anybody, at any time."""
_METRICS = "/metrics"
_MESSAGES = "/messages/"


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What a user can choose about the HTTP side."""

    http_path: str | None = "/mcp"
    """Of streamable HTTP, or None to leave it out."""
    sse_path: str | None = None
    """Of SSE, or None to leave it out."""
    allowed_hosts: frozenset[HostName] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    max_connections: int = 1000
    max_request_bytes: int = 6 << 20
    max_connections_per_principal: int | None = None
    """None for half of them. Only where clients say who they are."""
    max_concurrent_calls: int = 100
    """Of one principal."""
    max_calls_per_minute: int = 6000
    """Of one principal."""
    transfer_link_seconds: float = 900
    public_url: str = ""
    """Of streamable HTTP as clients know it; empty for what their requests say."""
    readiness_seconds: float = 2
    """How long what the pool answered to a probe is given to the next ones."""
    metrics_text: Callable[[], tuple[bytes, str]] | None = None
    """What Prometheus scrapes, and its content type; None to leave that out."""
    metrics_token: str = field(default="", repr=False)
    """What a scraper must send; empty for whoever may call."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Of the endpoints that clients are given."""
        return tuple(path for path in (self.http_path, self.sse_path) if path is not None)


class HttpApp:
    """The ASGI app, and how it is wound down."""

    def __init__(self, asgi: ASGIApp, health: Health, in_flight: InFlight) -> None:
        self._asgi = asgi
        self._health = health
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Whatever goes wrong in it ends nothing else."""
        try:
            await self._serve(scope, receive, send)
        except ClientDisconnect:
            pass  # the client left in the midst of its request
        except Exception as error:  # it was answered by _failed; what it says may be a client's own
            _logger.error("A request failed: %s", type(error).__name__)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_work = scope["type"] == "http" and scope["method"] in {"POST", "PUT"}
        if is_work and self._health.is_stopping:
            response = PlainTextResponse("This server is being stopped.", 503, {"Retry-After": "5"})
            await response(scope, receive, send)
        elif is_work:
            with self._in_flight.track():
                await self._asgi(scope, receive, send)
        else:
            await self._asgi(scope, receive, send)

    @property
    def running(self) -> int:
        """How many calls and requests are being served."""
        return self._in_flight.running

    async def drain(self, *, within_seconds: float) -> bool:
        """Take no more work, and let what runs finish. False if that took too long."""
        self._health.is_stopping = True
        return await self._in_flight.finished(within_seconds=within_seconds)


@asynccontextmanager
async def open_http_app(
    sessions: ClientSessions,
    options: ServerOptions,
    http: HttpOptions,
    *,
    authentication: Authentication | None = None,
    audit: AuditLog | None = None,
    make_server: Callable[..., PythonServer] = create_server,
) -> AsyncGenerator[HttpApp]:
    """The app, for as long as the block lasts. Streams that are open then are closed.

    Args:
        sessions: of all clients. They are not closed with the app.
        options: of the MCP server.
        http: of its transports.
        authentication: who may call; None for anybody.
        audit: told of each call of a tool.
        make_server: takes what ``create_server`` takes.
    """
    health, in_flight = Health(sessions.pool, http.readiness_seconds), InFlight()
    share = http.max_connections  # of whoever calls, where they are not told apart
    if authentication is not None:
        share = share_of(http.max_connections, http.max_connections_per_principal)
    limits = Limits(http.max_concurrent_calls, http.max_calls_per_minute, share)
    links = Links(
        sessions.derive_key("transfer links"), lifetime_seconds=http.transfer_link_seconds
    )
    offer = LinkOffer(links, partial(_transfer_url, http))
    routes: list[BaseRoute] = []
    async with AsyncExitStack() as stack:
        work_dir = stack.enter_context(open_work_dir(options))
        make = partial(make_server, options=options, links=offer, audit=audit, work_dir=work_dir)
        if http.http_path is not None:
            routes += await stack.enter_async_context(
                _streamable_http(http.http_path, make, sessions, http)
            )
        if http.sse_path is not None:
            server = make(Callers(sessions, principal), in_flight=in_flight)
            routes += await stack.enter_async_context(_sse(http.sse_path, server, http, in_flight))
        routes += [
            Route(_HEALTH, health.alive),
            Route(_READINESS, health.ready),
            Route("/", Page(http.paths, is_authenticated=authentication is not None).answer),
            *(authentication.routes if authentication else ()),
            *_metrics_routes(http),
        ]
        guard = Guard(http.allowed_hosts, http.allowed_origins)
        has_token_of_its_own = frozenset({_METRICS} if http.metrics_token else ())
        open_paths = PROBES | {"/"} | has_token_of_its_own
        middleware = [
            Middleware(NormalizationMiddleware, http.paths),
            Middleware(GuardMiddleware, guard, unguarded=PROBES),
            *([_cors(http.allowed_origins)] if http.allowed_origins else []),
            Middleware(TransfersMiddleware, sessions, links, limits, in_flight),
            *([authentication.middleware(open_paths=open_paths)] if authentication else []),
            Middleware(
                LimitsMiddleware,
                limits,
                principal,
                connections=sessions.connections_of,
                http_path=http.http_path,
                sse_path=http.sse_path,
            ),
            Middleware(BodyLimitMiddleware, http.max_request_bytes),
        ]
        asgi = Starlette(
            routes=routes, middleware=middleware, exception_handlers={Exception: _failed}
        )
        yield HttpApp(asgi, health, in_flight)


@asynccontextmanager
async def _streamable_http(
    path: str, make: Callable[..., PythonServer], sessions: ClientSessions, http: HttpOptions
) -> AsyncGenerator[list[BaseRoute]]:
    connections = HttpConnections(sessions, principal)
    server = make(Callers(sessions, principal, connections=connections))
    server.lowlevel.middleware.append(connections.begin)
    manager = StreamableHTTPSessionManager(
        server.lowlevel,
        session_idle_timeout=sessions.idle_seconds,
        max_sessions=http.max_connections,
        max_request_body_size=http.max_request_bytes,
    )
    async with manager.run():
        yield [Route(path, _Endpoint(manager.handle_request))]


@asynccontextmanager
async def _sse(
    path: str, server: PythonServer, http: HttpOptions, in_flight: InFlight
) -> AsyncGenerator[list[BaseRoute]]:
    transport = SseServerTransport(_MESSAGES, max_request_body_size=http.max_request_bytes)
    async with open_streams(server, transport, http.max_connections, in_flight) as streams:
        yield [
            Route(path, _Endpoint(streams), methods=["GET"]),
            Mount(_MESSAGES, transport.handle_post_message),
        ]


async def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(
        f"The server failed at this ({type(error).__name__}); others are served as before. Whether "
        "code ran is unknown.\n",
        500,
    )


class _Endpoint:
    """Makes Starlette take a coroutine function for an ASGI app instead of a view."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _cors(origins: frozenset[str]) -> Middleware:
    """Lets the browser hand our answers to the pages that may call."""
    return Middleware(
        CORSMiddleware,
        allow_origins=sorted(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Mcp-Session-Id", "Retry-After", "WWW-Authenticate"],
    )


def _transfer_url(http: HttpOptions, context: Ctx, token: str) -> str:
    """Where a token is good, by the name that the client itself called this server."""
    if http.public_url:
        base = http.public_url.rstrip("/").removesuffix(http.http_path or "")
    else:
        request = cast("Request", context.request_context.request)
        base = str(request.base_url).rstrip("/")
    return f"{base}{TRANSFERS_PATH}{token}"


def _metrics_routes(http: HttpOptions) -> list[BaseRoute]:
    if http.metrics_text is None:
        return []
    return [Route(_METRICS, metrics_endpoint(http.metrics_text, http.metrics_token))]
