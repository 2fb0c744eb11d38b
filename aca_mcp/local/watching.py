"""Holds sessions to what they may have and for how long, from outside.

Those that could take more at once are measured often: where code runs, and where processes or
threads were left behind. All are measured quickly, one after the other in one thread. Only one that
seems to have too much is measured exactly, apart, so that a session that is slow to measure delays
nobody's measurement but its own.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.embedded.background import guarded, repeated
from aca_mcp.local import trees, usage
from aca_mcp.local.checkpoints import FOR_MEMORY
from aca_mcp.local.excess import Limits, excess_of

if TYPE_CHECKING:
    from aca_mcp.embedded.live_sessions import LiveSessions
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.local.usage import Usage

_WATCH_SECONDS = 0.05
"""How often busy sessions are measured: what one can take in between is its overshoot."""
_HOUSEKEEPING_SECONDS = 1.0
"""How often idle sessions are measured, and those ended whose time is up."""
_SPARED_BYTES = 32 * 2**20
"""What the last checkpoint may hold beside what its session may have."""
_MEASURED_AT_ONCE = 5
"""Idle sessions, one after the other."""
_MEASURED_APART = 8
"""At most so many sessions are measured exactly at the same time."""


class Excess(enum.Enum):
    """What is too much of a session."""

    COPIES = enum.auto()
    """Memory, and without its oldest checkpoint it may not be."""
    OF_CODE = enum.auto()
    """Memory, which ends with what runs."""
    OF_SESSION = enum.auto()
    """What ends with the session alone."""


class Watcher:
    """Ends sessions of a pool that use too much, or that nobody uses.

    Args:
        sessions: of the pool.
        limits: of each of them.
        tasks: slow measurements are made in here.
    """

    def __init__(
        self,
        sessions: LiveSessions[KernelProcess],
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._sessions = sessions
        self._limits = limits
        self._tasks = tasks
        self._busy: set[KernelProcess] = set()
        self._something_to_watch = anyio.Event()
        self._measured: set[KernelProcess] = set()
        """Busy ones, since house was kept last."""
        self._apart: set[KernelProcess] = set()
        self._threads = anyio.CapacityLimiter(_MEASURED_APART)

    def code_begins(self, kernel: KernelProcess) -> None:
        """Tell it that there is something to watch."""
        self._busy.add(kernel)
        self._something_to_watch.set()

    async def watch_busy(self) -> None:
        """Measure busy sessions, often, until cancelled."""
        await repeated(self._watch)

    async def _watch(self) -> None:
        await self._something_to_watch.wait()
        await anyio.sleep(_WATCH_SECONDS)
        self._measured |= self._busy
        await self._measure(list(self._busy))
        if not self._busy:
            self._something_to_watch = anyio.Event()

    async def keep_house(self) -> None:
        """Measure all sessions, seldom, and end those whose cooldown is over, until cancelled."""
        await repeated(self._tidy)

    async def _tidy(self) -> None:
        await self._sessions.end_expired()
        # Those that were busy since have been measured.
        measured, self._measured = self._measured, set()
        kernels = [each for each in self._sessions.kernels() if each not in measured]
        # A few at a time: measuring is a thread that the event loop has to wait for.
        starts = range(0, max(len(kernels), 1), _MEASURED_AT_ONCE)
        for start in starts:
            await anyio.sleep(_HOUSEKEEPING_SECONDS / len(starts))
            await self._measure(kernels[start : start + _MEASURED_AT_ONCE])

    async def _measure(self, kernels: list[KernelProcess]) -> None:
        there = [kernel for kernel in kernels if not kernel.has_ended]
        self._busy -= {kernel for kernel in self._busy if kernel.has_ended}
        for kernel, found in await anyio.to_thread.run_sync(_measure_quickly, there):
            # Read before it is decided: code may have begun while it was measured.
            if kernel.is_running or found.processes > 1 or found.threads > 1:
                self._busy.add(kernel)
                self._something_to_watch.set()
            else:
                self._busy.discard(kernel)
            if found.memory > self._limits.memory_bytes:
                self._measure_apart(kernel, found)
            elif (why := excess_of(found, self._limits)) is not None:
                kernel.kill_soon(why)
            elif kernel.storage.is_absolute():
                self._measure_apart(kernel, found)

    def _measure_apart(self, kernel: KernelProcess, found: Usage) -> None:
        if kernel not in self._apart:
            self._apart.add(kernel)
            self._tasks.start_soon(guarded, self._decide_apart, kernel, found)

    async def _decide_apart(self, kernel: KernelProcess, found: Usage) -> None:
        began = anyio.current_time()
        try:
            copies = kernel.checkpoints.pids if kernel.checkpoints is not None else []
            excess = await anyio.to_thread.run_sync(
                self._excess_of, kernel, found, copies, limiter=self._threads
            )
            if excess is not None and not kernel.has_ended:
                _act(kernel, *excess)
            # So that a session that is slow to measure takes half a processor at most.
            await anyio.sleep(anyio.current_time() - began)
        finally:
            self._apart.discard(kernel)

    def _excess_of(
        self, kernel: KernelProcess, found: Usage, copies: list[int]
    ) -> tuple[Excess, str] | None:
        limit = self._limits.memory_bytes
        if found.memory > limit:
            found = replace(found, memory=usage.measure_exactly(kernel.pid))
        if (why := excess_of(found, self._limits)) is not None:
            if found.memory <= limit:
                return Excess.OF_SESSION, why
            # Of several copies each may be what another shares: the next look tells.
            if len(copies) > 1:
                return Excess.COPIES, why
            held = usage.only_of(kernel.pid, copies) if copies else 0
            if found.memory - held > limit:
                return Excess.OF_CODE, why
            # So little is not the code's, and not worth the copy: the code may be about to fail.
            return None if held <= _SPARED_BYTES else (Excess.COPIES, why)
        if not kernel.storage.is_absolute():
            return None  # its file systems have a size
        used = trees.size_of_tree(kernel.storage)
        if used > self._limits.disk_bytes:
            return Excess.OF_SESSION, self._limits.disk(used)
        return None


def _act(kernel: KernelProcess, excess: Excess, why: str) -> None:
    match excess:
        case Excess.COPIES if kernel.checkpoints is not None:
            kernel.checkpoints.drop_one(FOR_MEMORY)
        case Excess.OF_CODE if kernel.checkpoints is not None and kernel.checkpoints.are_leaving:
            pass  # what they had is free in a moment: the next look tells
        case Excess.OF_CODE:
            kernel.end_code(why)
        case _:
            kernel.kill_soon(why)


def _measure_quickly(kernels: list[KernelProcess]) -> list[tuple[KernelProcess, Usage]]:
    return [
        (kernel, _of_code(kernel, usage.measure(kernel.pid, descriptors=not kernel.is_grouped)))
        for kernel in kernels
    ]


def _of_code(kernel: KernelProcess, found: Usage) -> Usage:
    """Without the processes that are there for checkpoints, but for their memory."""
    beside = 0 if kernel.checkpoints is None else kernel.checkpoints.processes
    return replace(found, processes=found.processes - beside, threads=found.threads - beside)
