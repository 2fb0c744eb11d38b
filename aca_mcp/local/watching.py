"""Holds sessions to what they may have and for how long, from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.local import memory, trees

if TYPE_CHECKING:
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.local.sessions import Sessions

_WATCH_SECONDS = 0.05
"""How often running sessions are measured: what one can take in between is its overshoot."""

_HOUSEKEEPING_SECONDS = 1.0
"""How often idle sessions are measured, and those ended whose time is up."""


class Watcher:
    """Ends sessions of a pool that use too much, or that nobody uses."""

    def __init__(
        self, sessions: Sessions[KernelProcess], configuration: LocalPoolConfiguration
    ) -> None:
        self._sessions = sessions
        self._configuration = configuration
        self._running = anyio.Event()

    def code_begins(self) -> None:
        """Tell it that there is something to watch."""
        self._running.set()

    async def watch_running(self) -> None:
        """Measure sessions in which code runs, often, until cancelled."""
        while True:
            await self._running.wait()
            await anyio.sleep(_WATCH_SECONDS)
            running = [kernel for kernel in self._sessions.kernels() if kernel.is_running]
            if not running:
                self._running = anyio.Event()
            await self._measure(running)

    async def keep_house(self) -> None:
        """Measure all sessions, seldom, and end those whose cooldown is over, until cancelled."""
        registry = self._sessions.registry
        while True:
            await anyio.sleep(_HOUSEKEEPING_SECONDS)
            for identifier in registry.expired(anyio.current_time()):
                idle = f"nobody used it for {registry.cooldown_seconds:g} seconds"
                await self._sessions.end(identifier, idle)
            await self._measure(self._sessions.kernels())

    async def _measure(self, kernels: list[KernelProcess]) -> None:
        for kernel in kernels:
            if kernel.has_ended:
                continue
            why = await anyio.to_thread.run_sync(self._excess_of, kernel)
            if why is not None:
                kernel.condemn(why)

    def _excess_of(self, kernel: KernelProcess) -> str | None:
        limit = self._configuration.memory_bytes
        if memory.exceeds(kernel.pid, limit):
            return f"it used more than {limit // 2**20:,} MiB of memory"
        if not kernel.storage.is_absolute():
            return None  # its file systems have a size
        limit = self._configuration.disk_bytes
        if trees.size_of_tree(kernel.storage) > limit:
            return f"it used more than {limit // 2**20:,} MiB of disk"
        return None
