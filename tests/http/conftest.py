"""Servers over HTTP, and who connects to them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from aca_mcp.server.app import ServerOptions
from aca_mcp.server.http.app import HttpApp, HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.server.sessions.limits import Limits
from tests.server.http.serving import served, server_process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from aca_mcp.server.auth.authentication import Authentication
    from aca_mcp.server.sessions.client_sessions import ClientSessions
    from tests.http.clients import Era, Transport
    from tests.support.toy_pool import ToyPool

    Serve = Callable[..., AbstractAsyncContextManager["Running"]]


class Running:
    """A server of a test's own, in this process."""

    def __init__(
        self, address: str, app: HttpApp, http: httpx.AsyncClient, sessions: ClientSessions
    ) -> None:
        self.address = address
        self.app = app
        self.http = http
        self.sessions = sessions


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """A real server with real sessions, over both transports; each client has a session."""
    with server_process([], "--transport", "http,sse") as (address, _):
        yield address


@pytest.fixture(params=["legacy", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> Era:
    """The protocol era that a client opens with."""
    return request.param


@pytest.fixture(params=["http", "sse"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """What it comes by."""
    return request.param


@pytest.fixture
def serve(toy_pool: ToyPool) -> Serve:
    """Serves the toy pool, with these options."""

    @asynccontextmanager
    async def running(
        server: ServerOptions | None = None,
        *,
        authentication: Authentication | None = None,
        secret: bytes | None = None,
        idle_seconds: float = 3600,
        sessions_per_principal: int | None = None,
        **options: Any,
    ) -> AsyncGenerator[Running]:
        chosen = replace(HttpOptions(sse_path="/sse"), **options)
        async with (
            open_sessions(
                toy_pool,
                secret=secret,
                limits=Limits(idle_seconds=idle_seconds, per_principal=sessions_per_principal),
            ) as sessions,
            open_http_app(
                sessions, server or ServerOptions(), chosen, authentication=authentication
            ) as app,
            served(app) as address,
            httpx.AsyncClient(base_url=address, timeout=10) as http,
        ):
            yield Running(address, app, http, sessions)

    return running
