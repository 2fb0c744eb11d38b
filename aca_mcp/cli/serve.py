"""``aca-mcp serve``: settings to a served transport, in the order that makes it start soonest.

The pool is opened before the MCP SDK is imported, so that its template process does its imports and
makes the first session while this process does its own. Imports that a transport does not need stay
out of this module.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread

from aca_mcp import __version__
from aca_mcp.cli.flags import host_names
from aca_mcp.cli.garbage_collection import collect_seldom
from aca_mcp.cli.logs import configure_logging, note
from aca_mcp.cli.standard_error import unblocked_standard_error
from aca_mcp.errors import SessionPoolError
from aca_mcp.pools import (
    environments_of,
    open_session_pool,
    package_offer,
    with_place_for_packages,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import SessionPool
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.settings import Settings


_logger = logging.getLogger(__name__)

_ASK_SECONDS = 3
"""How long a pool may take to say what its sessions are, before the server starts without."""
_SWITCH_SECONDS = 0.0005
"""For which a thread, as measures sessions, keeps the event loop waiting: a tenth of Python's."""
_DESCRIPTORS = 128
"""Of the server itself: what it imports, reads and asks others."""
_DESCRIPTORS_OF_A_SESSION = 12
_TIMES_PER_COOLDOWN = 4
"""That a session is kept alive: one may be late."""
_SESSIONS_OF_AZURE = 100
"""Of one principal, where nothing else was chosen."""


def serve(settings: Settings) -> int:
    """Serve MCP until the client leaves or the process is told to stop; returns the exit code.

    Raises:
        SettingsError: it must not listen there.
        PoolUnavailableError: the pool cannot start on this machine, or nothing can listen there.
    """
    with unblocked_standard_error():
        return _serve(settings)


def _serve(settings: Settings) -> int:
    configure_logging(settings.log_level)
    if settings.pool_kind != "wasm":
        settings = with_place_for_packages(settings)
    if settings.work_dir is not None and not os.access(settings.work_dir, os.W_OK):
        note(
            f"models can read {settings.work_dir}, but nothing can be written there by this user. "
            "In a container: --user, with the numbers of the directory's owner."
        )
    if settings.transport == "stdio" and sys.stdin.isatty():
        note("waiting for an MCP client on stdin; Ctrl-C ends it.")
    sys.setswitchinterval(_SWITCH_SECONDS)
    run = _serve_stdio if settings.transport == "stdio" else _serve_http
    if _is_observed(settings):
        from aca_mcp.telemetry import open_telemetry

        with open_telemetry(otlp=settings.otel, prometheus=settings.metrics, version=__version__):
            anyio.run(run, settings)
    else:
        anyio.run(run, settings)
    return 0


@asynccontextmanager
async def _open_pool(settings: Settings) -> AsyncGenerator[SessionPool]:
    async with open_session_pool(settings) as pool:
        if _is_observed(settings):
            from aca_mcp.observed_pool import observed

            yield observed(pool, kind=settings.pool_kind)
        else:
            yield pool


def _is_observed(settings: Settings) -> bool:
    return settings.otel or settings.metrics


async def _serve_stdio(settings: Settings) -> None:
    async with _open_pool(settings) as pool:
        # In a thread, so that the event loop can see to the pool meanwhile.
        await anyio.to_thread.run_sync(importlib.import_module, "aca_mcp.server.stdio")
        from aca_mcp.server.sessions.limits import Limits
        from aca_mcp.server.stdio import serve_stdio

        collect_seldom()
        limits = Limits(keep_alive_seconds=_keep_alive_seconds(settings))
        await serve_stdio(pool, await _options(settings, pool), limits)


async def _serve_http(settings: Settings) -> None:
    from aca_mcp.listening.server import Listener
    from aca_mcp.server.auth.authentication import AuthenticationOptions, authentication
    from aca_mcp.server.http.app import HttpOptions
    from aca_mcp.server.http.serve import check_listener, serve_http
    from aca_mcp.server.sessions.limits import Limits
    from aca_mcp.telemetry import metrics_text

    listener = Listener(
        settings.host,
        settings.port,
        trusted_proxies=settings.trusted_proxies.replace(" ", ""),
        max_connections=_max_connections(settings),
        request_seconds=settings.request_seconds,
    )
    who = authentication(
        AuthenticationOptions(
            tokens={n: token.get_secret_value() for n, token in settings.static_tokens.items()},
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
            tenants=settings.tenants,
            required_scopes=settings.required_scopes,
            required_roles=settings.required_roles,
            public_url=settings.public_url,
        )
    )
    check_listener(listener, is_authenticated=who is not None or settings.allow_unauthenticated)
    secret = settings.secret.get_secret_value().encode()
    transports = settings.transports
    http = HttpOptions(
        http_path=settings.http_path if "http" in transports else None,
        sse_path=settings.sse_path if "sse" in transports else None,
        allowed_hosts=host_names(settings.allowed_hosts, "ACA_MCP_ALLOWED_HOSTS"),
        allowed_origins=_names(settings.allowed_origins),
        max_connections=listener.max_connections,
        max_request_bytes=settings.max_request_mib << 20,
        max_connections_per_principal=settings.max_connections_per_principal,
        max_concurrent_calls=settings.max_concurrent_calls,
        max_calls_per_minute=settings.max_calls_per_minute,
        public_url=settings.public_url,
        transfer_link_seconds=settings.transfer_link_seconds,
        metrics_text=metrics_text if settings.metrics else None,
        metrics_token=settings.metrics_token.get_secret_value(),
    )
    if settings.audit_log:
        from aca_mcp.server.audit import write_audit_log

        write_audit_log(sys.stderr)
    async with _open_pool(settings) as pool:
        collect_seldom()
        await serve_http(
            pool,
            await _options(settings, pool),
            http,
            listener,
            authentication=who,
            audits=settings.audit_log,
            secret=secret or None,
            limits=Limits(
                idle_seconds=settings.session_idle_seconds,
                per_principal=_session_share(settings, is_alone=who is None),
                keep_alive_seconds=_keep_alive_seconds(settings),
            ),
            shutdown_seconds=settings.shutdown_seconds,
        )


def _max_connections(settings: Settings) -> int:
    """As many as were asked for, if there are descriptors enough for them and for the sessions."""
    from aca_mcp.listening.descriptors import connections_possible

    sessions = 0 if settings.pool_kind == "azure" else settings.local_max_concurrent_sessions
    possible = connections_possible(
        settings.max_connections,
        beside=_DESCRIPTORS + _DESCRIPTORS_OF_A_SESSION * sessions,
    )
    if possible < settings.max_connections:
        _logger.warning(
            "The limit on open files leaves room for %d connections instead of %d "
            "(ACA_MCP_MAX_CONNECTIONS); raise it with ulimit -n.",
            possible,
            settings.max_connections,
        )
    return possible


def _keep_alive_seconds(settings: Settings) -> float:
    """So often that a session outlives its pool's cooldown: what ends it is the server's word."""
    from aca_mcp.server.sessions.limits import KEEP_ALIVE_SECONDS

    if settings.pool_kind == "azure":  # which does not tell its cooldown
        return KEEP_ALIVE_SECONDS
    return min(KEEP_ALIVE_SECONDS, settings.local_cooldown_seconds / _TIMES_PER_COOLDOWN)


def _session_share(settings: Settings, *, is_alone: bool) -> int | None:
    from aca_mcp.server.http.rate_limits import share_of

    if is_alone:
        return None
    wanted = settings.max_sessions_per_principal
    if settings.pool_kind == "azure":  # which does not tell how many there are
        return wanted or _SESSIONS_OF_AZURE
    return share_of(settings.local_max_concurrent_sessions, wanted)


async def _options(settings: Settings, pool: SessionPool) -> ServerOptions:
    from aca_mcp.server.app import ServerOptions

    return ServerOptions(
        runs=await _what_runs(settings, pool),
        execution_timeout_seconds=settings.execution_timeout_seconds,
        max_timeout_seconds=settings.max_timeout_seconds,
        max_result_tokens=settings.max_result_tokens,
        max_image_side=settings.max_image_side_pixels,
        has_processes=settings.pool_kind != "wasm",
        work_dir=settings.work_dir,
        result_links=settings.result_links,
        work_dir_max_bytes=settings.work_dir_max_mib << 20,
        environments=environments_of(settings),
        packages=package_offer(settings),
    )


async def _what_runs(settings: Settings, pool: SessionPool) -> Literal["python", "shell"]:
    """What sessions are: which tools there are, and what they promise, depends on it.

    Only an Azure pool need be asked, and not for long: a client waits for the server to start.
    """
    if settings.pool_kind == "azure":
        with anyio.move_on_after(_ASK_SECONDS), suppress(SessionPoolError):
            return (await pool.metadata()).runs
    return "python"


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.lower().replace(" ", "").split(",")))
