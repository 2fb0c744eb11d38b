"""Serves the emulator on a socket until the process is told to stop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import anyio

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.faults import ConnectionDroppedError
from aca_mcp.errors import SettingsError
from aca_mcp.hosts import LOOPBACK
from aca_mcp.listening.server import HttpServer, Listener
from aca_mcp.signals import open_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.emulator.options import EmulatorOptions
    from aca_mcp.pool import SessionPool

_SHUTDOWN_SECONDS = 5


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
        server = HttpServer(
            _dropping(app),
            listener,
            title="aca-mcp: emulator at",
            drain_seconds=_SHUTDOWN_SECONDS,
        )
        tasks.start_soon(_stop_on_signal, server)
        await server.serve_until_told()
        tasks.cancel_scope.cancel()


async def _stop_on_signal(server: HttpServer) -> None:
    with open_signals(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            server.should_exit = True


def _dropping(app: ASGIApp) -> ASGIApp:
    """End the connection where it is to be dropped: an answer begun and not ended does that."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, note_and_send)
        except ConnectionDroppedError:
            if not begun:
                headers = [(b"content-length", b"1000000")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})

    return serve
