"""Listens on a socket: the only module that imports uvicorn."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import uvicorn

from aca_mcp.emulator.access import LOOPBACK
from aca_mcp.emulator.app import EmulatorOptions, open_emulator
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.errors import PoolUnavailableError, SettingsError

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.pool import SessionPool

_logger = logging.getLogger(__name__)
_KEEP_ALIVE_SECONDS = 75
_SHUTDOWN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0 for one that is free."""
    certificate: Path | None = None
    """In PEM form, for TLS."""
    key: Path | None = None

    @property
    def scheme(self) -> str:
        """The URL's."""
        return "https" if self.certificate else "http"


def check_listener(listener: Listener, options: EmulatorOptions) -> None:
    """See that listening there gives nobody else the run of this machine.

    Raises:
        SettingsError: it would, or the certificate is not whole.
    """
    if listener.host not in LOOPBACK and not options.access.token:
        raise SettingsError(
            f"--host {listener.host} is more than this machine, where anyone could run code. Set "
            "ACA_MCP_EMULATOR_TOKEN to the token that clients must send, or listen on 127.0.0.1."
        )
    if (listener.certificate is None) != (listener.key is None):
        raise SettingsError("--certificate and --key belong together: give both or none.")


async def serve_emulator(pool: SessionPool, listener: Listener, options: EmulatorOptions) -> None:
    """Serve until SIGINT or SIGTERM. Says on stderr where, once it listens.

    Raises:
        SettingsError: it must not listen there.
        PoolUnavailableError: it cannot listen there.
    """
    check_listener(listener, options)
    async with open_emulator(pool, options) as app, anyio.create_task_group() as tasks:
        config = uvicorn.Config(
            _dropping(app),
            host=listener.host,
            port=listener.port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            ssl_certfile=listener.certificate,
            ssl_keyfile=listener.key,
        )
        server = _Server(config, listener)
        tasks.start_soon(_stop_on_signal, server)
        try:
            await server.serve()
        except SystemExit as error:
            raise PoolUnavailableError(
                f"The emulator cannot listen on {listener.host} port {listener.port}: take another "
                "with --port."
            ) from error
        tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """A server that leaves signals to us and says where it listens."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        super().__init__(config)
        self._listener = listener

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Uvicorn would raise them again, and end the process before its sessions."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if not self.started:
            return
        port: int = self.servers[0].sockets[0].getsockname()[1]
        host = f"[{self._listener.host}]" if ":" in self._listener.host else self._listener.host
        url = f"{self._listener.scheme}://{host}:{port}"
        sys.stderr.write(f"aca-mcp: emulator at {url} (Ctrl-C ends it)\n")
        sys.stderr.flush()


async def _stop_on_signal(server: uvicorn.Server) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            server.should_exit = True


def _dropping(app: ASGIApp) -> ASGIApp:
    """End the connection where a fault asks for it: an answer begun and not ended does that."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except ConnectionDroppedError:
            begin: Message = {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"1000000")],
            }
            await send(begin)

    return serve
