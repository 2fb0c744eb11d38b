"""Opens the session pool that the settings choose: the only module that knows both kinds."""

from __future__ import annotations

import logging
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import SessionPool
    from aca_mcp.settings import Settings


_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_session_pool(settings: Settings) -> AsyncGenerator[SessionPool]:
    """Open a pool for as long as the context lasts. Quick: nothing is waited for.

    Raises:
        PoolUnavailableError: this machine, or this version, does not have the pool.
    """
    if settings.pool_kind == "azure":
        raise PoolUnavailableError(
            "This version has no Azure pool yet. Unset ACA_MCP_POOL_MANAGEMENT_ENDPOINT and "
            "ACA_MCP_POOL to use the local pool."
        )
    if not sys.platform.startswith("linux"):
        raise PoolUnavailableError(
            "The local pool needs Linux. Use Linux in a virtual machine (WSL on Windows) or in a "
            "container."
        )
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.pool import open_local_pool

    _warn_of_openings(settings)
    mebibyte = 2**20
    configuration = LocalPoolConfiguration(
        python=str(settings.local_python or sys.executable),
        preimport=tuple(filter(None, settings.local_preimport.replace(" ", "").split(","))),
        isolation=settings.local_isolation,
        network=settings.local_network == "host",
        ready_sessions=settings.local_ready_sessions,
        max_concurrent_sessions=settings.local_max_concurrent_sessions,
        cooldown_seconds=settings.local_cooldown_seconds,
        max_timeout_seconds=settings.local_max_timeout_seconds,
        interrupt_grace_seconds=settings.local_interrupt_grace_seconds,
        memory_bytes=settings.local_memory_mib * mebibyte,
        disk_bytes=settings.local_disk_mib * mebibyte,
        max_processes=settings.local_max_processes,
        max_output_bytes=settings.local_max_output_kib * 1024,
        max_file_bytes=settings.local_max_file_mib * mebibyte,
    )
    async with open_local_pool(configuration) as pool:
        yield pool


def _warn_of_openings(settings: Settings) -> None:
    if settings.local_isolation == "unsafe-none":
        _log.warning(
            "Local sessions are NOT isolated (local_isolation is unsafe-none): code that a model "
            "writes has all rights of this user."
        )
    if settings.local_network == "host":
        _log.warning(
            "Local sessions use this machine's network (local_network is host): code reaches all "
            "that this machine reaches, services on loopback included."
        )
