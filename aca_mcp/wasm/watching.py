"""Holds sessions to the disk that they may have, and to their time, from outside.

Their memory has a limit of its own, in the instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from aca_mcp.embedded.live_sessions import LiveSessions
    from aca_mcp.wasm.configuration import WasmPoolConfiguration
    from aca_mcp.wasm.process import WasmProcess

_WATCH_SECONDS = 0.2
"""How often running sessions are measured: what one can write in between is its overshoot.

Code that ends sooner may leave so much, once: after that all growth ends its session.
"""
_HOUSEKEEPING_SECONDS = 1.0


class Watcher:
    """Ends sessions of a pool that use too much, or that nobody uses."""

    def __init__(
        self, sessions: LiveSessions[WasmProcess], configuration: WasmPoolConfiguration
    ) -> None:
        self._sessions = sessions
        self._disk_bytes = configuration.disk_bytes
        self._used_before: WeakKeyDictionary[WasmProcess, int] = WeakKeyDictionary()

    async def code_begins(self, process: WasmProcess) -> None:
        """Note what a session uses: code that is to make room is not ended for what was there."""
        used = process.files.known_bytes
        if used is None:
            used = await anyio.to_thread.run_sync(process.files.used_bytes)
        before = self._used_before.get(process, 0)
        # What is over the limit does not become more, whoever writes it and however quickly.
        self._used_before[process] = min(used, before) if before > self._disk_bytes else used

    async def code_has_ended(self, process: WasmProcess) -> str | None:
        """Why the session has to end: a clause. It had too much before, and has more now.

        What takes less time than it is between two looks is seen here.
        """
        before = self._used_before.get(process, 0)
        if before <= self._disk_bytes or process.has_ended:
            return None
        used = await anyio.to_thread.run_sync(process.files.used_bytes)
        return self._too_much() if used > before else None

    def _too_much(self) -> str:
        limit = f"{self._disk_bytes // 2**20:,} MiB"
        return f"it used more than {limit} of disk (ACA_MCP_LOCAL_DISK_MIB)"

    async def watch_running(self) -> None:
        """Measure sessions in which code runs, and once those in which it has, until cancelled."""
        while True:
            await anyio.sleep(_WATCH_SECONDS)
            for process in self._sessions.kernels():
                if process.has_ended:
                    continue
                if process.is_running or process.files.known_bytes is None:
                    used = await anyio.to_thread.run_sync(process.files.used_bytes)
                    if process.is_running and used > max(
                        self._disk_bytes, self._used_before.get(process, 0)
                    ):
                        process.kill_soon(self._too_much())

    async def keep_house(self) -> None:
        """End sessions whose cooldown is over, until cancelled."""
        while True:
            await anyio.sleep(_HOUSEKEEPING_SECONDS)
            await self._sessions.end_expired()
