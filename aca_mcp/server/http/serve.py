"""Serves clients over HTTP until the process is told to stop, and then winds down in order."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import SettingsError
from aca_mcp.hosts import LOOPBACK
from aca_mcp.listening.server import HttpServer
from aca_mcp.server.audit import AuditLog
from aca_mcp.server.auth.principal import principal
from aca_mcp.server.http.app import PROBES, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.signals import open_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.listening.server import Listener
    from aca_mcp.pool import SessionPool
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.server.auth.authentication import Authentication
    from aca_mcp.server.http.app import HttpApp, HttpOptions
    from aca_mcp.server.sessions.limits import Limits

_logger = logging.getLogger(__name__)

_CONNECTIONS_SECONDS = 3
"""For connections to end after everything that was served by them has."""


def check_listener(listener: Listener, *, is_authenticated: bool) -> None:
    """See that listening there gives no stranger the run of the pool.

    Args:
        listener: where to listen.
        is_authenticated: clients must say who they are, or the user said that they need not.

    Raises:
        SettingsError: it would.
    """
    if listener.host not in LOOPBACK and not is_authenticated:
        raise SettingsError(
            f"--host {listener.host} is more than this machine, and anyone who can reach it could "
            "run code. Set ACA_MCP_AUTH_TOKENS or ACA_MCP_AUTH_ISSUER, listen on 127.0.0.1, or say "
            "--allow-unauthenticated."
        )


async def serve_http(
    pool: SessionPool,
    options: ServerOptions,
    http: HttpOptions,
    listener: Listener,
    *,
    authentication: Authentication | None,
    audits: bool,
    secret: bytes | None,
    limits: Limits,
    shutdown_seconds: float,
) -> None:
    """Serve until SIGINT or SIGTERM. Says on stderr where, once it listens.

    Running calls may then finish; afterwards every session is ended.

    Args:
        pool: where sessions come from. It stays open.
        options: of the MCP server.
        http: of its transports.
        listener: where to listen.
        authentication: who may call; None for anybody.
        audits: each call of a tool is told to the audit log.
        secret: what handles are made with, shared among replicas; None for one of this process.
        limits: of sessions.
        shutdown_seconds: for running calls to finish.

    Raises:
        PoolUnavailableError: it cannot listen there.
    """
    if secret is None:
        _logger.warning(
            "ACA_MCP_SECRET is not set: session handles and links are good until this process "
            "ends, and on no other replica."
        )
    with open_signals(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            async with (
                open_sessions(pool, secret=secret, limits=limits) as sessions,
                open_http_app(
                    sessions,
                    options,
                    http,
                    authentication=authentication,
                    audit=AuditLog(principal, secret=secret) if audits else None,
                ) as app,
            ):
                server = HttpServer(
                    app,
                    listener,
                    title="aca-mcp: serving MCP at",
                    drain_seconds=_CONNECTIONS_SECONDS,
                    always_served=PROBES,
                    paths=http.paths,
                )
                tasks.start_soon(server.serve_until_told)
                if authentication is not None:
                    tasks.start_soon(authentication.verifier.warm_up)
                async for _ in signals:
                    break
                server.stop_accepting()
                if not await _drained(app, signals, within_seconds=shutdown_seconds):
                    _logger.warning("Calls that were still running are ended with their sessions.")
            server.should_exit = True


async def _drained(app: HttpApp, signals: AsyncIterator[object], *, within_seconds: float) -> bool:
    """Let running calls finish, unless the person or the supervisor asks again. False if not."""
    if app.running:
        calls = "1 call" if app.running == 1 else f"{app.running} calls"
        sys.stderr.write(
            f"aca-mcp: waiting up to {within_seconds:g} s for {calls} to finish; Ctrl-C again "
            "ends at once\n"
        )
        sys.stderr.flush()
    finished = False
    async with anyio.create_task_group() as tasks:

        async def cancel_at_a_signal() -> None:
            async for _ in signals:
                tasks.cancel_scope.cancel()

        tasks.start_soon(cancel_at_a_signal)
        finished = await app.drain(within_seconds=within_seconds)
        tasks.cancel_scope.cancel()
    return finished
