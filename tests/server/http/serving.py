"""The HTTP side on a real socket, with clients of it and of its links."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import anyio
import httpx
from mcp import Client

from aca_mcp.listening.server import HttpServer, Listener
from aca_mcp.server.app import ServerOptions
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.support.calling import Caller
from tests.support.listening_process import listening_process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from aca_mcp.pool import SessionPool


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve an app on a free port; gives its address."""
    server = HttpServer(app, Listener(port=0), title="a test at", drain_seconds=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve_until_told)
        try:
            await until(lambda: server.started)
            port = server.port
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True


@asynccontextmanager
async def served_at(app_at: Callable[[str], ASGIApp]) -> AsyncGenerator[str]:
    """The same for an app that is to know its address."""
    made: list[ASGIApp] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await made[0](scope, receive, send)

    async with served(app) as address:
        made.append(app_at(address))
        yield address


@dataclass
class Served:
    """A client of a server, and an HTTP client that knows nothing but links."""

    call: Caller
    http: httpx.AsyncClient

    async def line(self, path: str, direction: str, session: str = "") -> str:
        """The line for a shell that the tool prints."""
        text = await self.call(
            "create_transfer_link", path=path, direction=direction, session=session
        )
        return text.splitlines()[-1]

    async def link(self, path: str, direction: str, session: str = "") -> str:
        """The address in it."""
        return shlex.split(await self.line(path, direction, session))[-1]


@asynccontextmanager
async def serving(
    pool: SessionPool,
    *,
    mode: Literal["legacy", "2026-07-28"] = "legacy",
    secret: bytes | None = None,
    http: HttpOptions | None = None,
) -> AsyncGenerator[Served]:
    """Serve a pool on a socket and connect a client."""
    async with (
        open_sessions(pool, secret=secret) as sessions,
        open_http_app(sessions, ServerOptions(), http or HttpOptions()) as app,
        served(app) as address,
        Client(f"{address}/mcp", mode=mode) as client,
        httpx.AsyncClient(timeout=10) as outsider,
    ):
        yield Served(Caller(client), outsider)


async def curl(line: str, directory: Path) -> tuple[int, str]:
    """Run a line as a user would, in a directory of theirs; gives the exit code and the output."""
    with anyio.fail_after(20):
        done = await anyio.run_process(["sh", "-c", line], cwd=directory, check=False)
    return done.returncode, done.stdout.decode()


def server_process(
    log: list[str], *arguments: str, **environment: str
) -> AbstractContextManager[tuple[str, int]]:
    """``aca-mcp serve`` over HTTP on a free port, as ``listening_process`` says."""
    command = ("aca_mcp", "serve", "--transport", "http", "--port", "0", *arguments)
    return listening_process(log, *command, **environment)
