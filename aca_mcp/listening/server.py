"""An ASGI server on a socket, until it is told to stop."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import uvicorn

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.listening.accepting import Acceptor, listening_sockets
from aca_mcp.listening.connections import IN_BETWEEN, SPARE, Connections
from aca_mcp.listening.protocol import BoundedProtocol, Bounds

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup
    from starlette.types import ASGIApp

_KEEP_ALIVE_SECONDS = 75
_MAX_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 for one that is free."""
    certificate: Path | None = None
    """In PEM form, for TLS."""
    key: Path | None = None
    trusted_proxies: str = ""
    """Addresses whose ``X-Forwarded-For`` and ``-Proto`` hold, with commas between."""
    max_connections: int = 1000
    """That are served at once; further ones are answered 503, but for what is always served."""
    request_seconds: float = 15
    """For the head of a request to arrive; a body gets as long, and more as it comes."""

    @property
    def scheme(self) -> str:
        """The URL's."""
        return "https" if self.certificate else "http"


class HttpServer(uvicorn.Server):
    """A server that leaves signals to its owner and says where it listens.

    Args:
        app: what is served. Its lifespan is its owner's.
        listener: where to listen.
        title: what is written to stderr before the URL, once it listens.
        drain_seconds: time for connections to end after ``should_exit`` was set.
        always_served: paths, of probes, that are served however many connections there are.
        paths: that clients are given; a URL is written for each.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: Listener,
        *,
        title: str,
        drain_seconds: float,
        always_served: frozenset[str] = frozenset(),
        paths: Sequence[str] = ("",),
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
                proxy_headers=bool(listener.trusted_proxies),
                forwarded_allow_ips=listener.trusted_proxies,
                ssl_certfile=listener.certificate,
                ssl_keyfile=listener.key,
            )
        )
        self._listener = listener
        self._title = title
        self._paths = paths
        self._bounds = Bounds(
            Connections(listener.max_connections),
            anyio.Semaphore(listener.max_connections + SPARE + IN_BETWEEN),
            listener.request_seconds,
            always_served,
        )
        self._accepting = anyio.CancelScope()
        self.port = listener.port
        """Where it listens, once it does."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Uvicorn would raise them again, and end the process before its sessions."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens, which is not uvicorn's doing."""
        del sockets
        await self.lifespan.startup()
        self.servers = []
        self.started = True
        wanted = self._listener.host
        # What stands for every address is none that a client can be given.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(wanted, wanted)  # noqa: S104 -- compared
        origin = f"{self._listener.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
        urls = " and ".join(origin + path for path in self._paths)
        everywhere = "" if host == wanted else ", and by this machine's other names"
        sys.stderr.write(f"{self._title} {urls}{everywhere} (Ctrl-C ends it)\n")
        sys.stderr.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the connections end."""
        self.stop_accepting()
        await super().shutdown(sockets)

    def stop_accepting(self) -> None:
        """Take no further connections; those that are there go on."""
        self._accepting.cancel()

    async def serve_until_told(self) -> None:
        """Serve until ``should_exit`` is set.

        Raises:
            PoolUnavailableError: it cannot listen there.
        """
        self.config.load()
        async with AsyncExitStack() as stack:
            try:
                listening = [
                    stack.enter_context(found)
                    async for found in listening_sockets(self._listener.host, self._listener.port)
                ]
            except OSError as error:
                raise PoolUnavailableError(
                    f"The server cannot listen on {self._listener.host} port "
                    f"{self._listener.port}: take another with --port."
                ) from error
            self.port = listening[0].getsockname()[1]
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._accept, listening, tasks)
            await self.serve()
            tasks.cancel_scope.cancel()

    async def _accept(self, listening: list[socket.socket], connections: TaskGroup) -> None:
        acceptor = Acceptor(self._protocol, self._bounds, self.config.ssl)
        with self._accepting:
            async with anyio.create_task_group() as tasks:
                for one in listening:
                    tasks.start_soon(acceptor.accept, one, connections)
        for one in listening:
            one.close()

    def _protocol(self) -> BoundedProtocol:
        return BoundedProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            bounds=self._bounds,
        )
