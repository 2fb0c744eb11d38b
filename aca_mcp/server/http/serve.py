"""Serves clients over HTTP until the process is told to stop, and then winds down in order."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import SettingsError
from aca_mcp.listening.server import HttpServer
from aca_mcp.loopback import LOOPBACK
from aca_mcp.server.audit import AuditLog
from aca_mcp.server.auth.principal import principal
from aca_mcp.server.http.app import PROBES, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions

if TYPE_CHECKING:
    from aca_mcp.listening.server import Listener
    from aca_mcp.pool import SessionPool
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.server.auth.authentication import Authentication
    from aca_mcp.server.http.app import HttpOptions

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
    idle_seconds: float,
    sessions_per_principal: int | None,
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
        idle_seconds: a session that nobody uses for so long is ended.
        sessions_per_principal: of the pool, that one client may have at once; None for all.
        shutdown_seconds: for running calls to finish.

    Raises:
        PoolUnavailableError: it cannot listen there.
    """
    if secret is None:
        _logger.warning(
            "ACA_MCP_SECRET is not set: session handles and links are good until this process "
            "ends, and on no other replica."
        )
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            async with (
                open_sessions(
                    pool,
                    secret=secret,
                    idle_seconds=idle_seconds,
                    per_principal=sessions_per_principal,
                ) as sessions,
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
                )
                tasks.start_soon(server.serve_until_told)
                if authentication is not None:
                    tasks.start_soon(authentication.warm_up)
                async for _ in signals:
                    break
                server.stop_accepting()
                if not await app.drain(within_seconds=shutdown_seconds):
                    _logger.warning("Calls that were still running are ended with their sessions.")
            server.should_exit = True
