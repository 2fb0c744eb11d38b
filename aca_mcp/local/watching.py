"""Holds sessions to what they may have and for how long, from outside.

Those that could take more at once are measured often: where code runs, and where processes or
threads were left behind. All are measured quickly, one after the other in one thread. Only one that
seems to have too much is measured exactly, apart, so that a session that is slow to measure delays
nobody's measurement but its own.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.background_tasks import guarded, repeated
from aca_mcp.local import directory_trees, usage
from aca_mcp.local.checkpoints import FOR_MEMORY
from aca_mcp.local.exceeded_limits import MAX_MAPPINGS, Limits, too_many, too_many_mappings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aca_mcp.embedded.live_sessions import LiveSessions
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.local.usage import Measurements, Usage

_WATCH_SECONDS = 0.05
"""How often busy sessions are measured: what one can take in between is its overshoot."""
_HOUSEKEEPING_SECONDS = 1.0
"""How often idle sessions are measured, and those ended whose time is up."""
_SPARED_BYTES = 32 * 2**20
"""What the last checkpoint may hold beside what its session may have."""
_MEASURED_AT_ONCE = 5
"""Idle sessions, one after the other."""
_EXACT_SECONDS = 0.5
"""For an exact measurement of a session that goes on meanwhile."""
_STANDING_SECONDS = 5.0
"""For one of a session that stands still: sixty forks take long to tell what they share."""
_FEW_PROCESSES = 8
"""Of a session: what the mappings of so few take is little, however many those are."""
_MEASURED_APART = 8
"""At most so many sessions are measured exactly at the same time."""

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Watcher:
    """Ends sessions of a pool that use too much, or that nobody uses.

    Args:
        sessions: of the pool.
        limits: of each of them.
        tasks: slow measurements are made in here.
        network: whether sessions have the host's.
        measurements: how they are measured.
    """

    def __init__(
        self,
        sessions: LiveSessions[KernelProcess],
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
        *,
        network: bool,
        measurements: Measurements,
    ) -> None:
        self._sessions = sessions
        self._network = network
        self._measurements = measurements
        self._limits = limits
        self._tasks = tasks
        self._busy: set[KernelProcess] = set()
        self._something_to_watch = anyio.Event()
        self._measured: set[KernelProcess] = set()
        """Busy ones, since house was kept last."""
        self._apart: set[KernelProcess] = set()
        self._crowded: set[KernelProcess] = set()
        """Those with many processes, and no control group that counts the kernel's memory."""
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
        for kernel in tuple(self._crowded):
            before = _successions(kernel)
            found = await self._apart_in_thread(usage.mappings, kernel.pid, MAX_MAPPINGS)
            if kernel.has_ended or _successions(kernel) != before:
                continue  # what was measured is gone
            if (why := too_many_mappings(found)) is not None:
                kernel.end_code(why)

    async def _measure(self, kernels: list[KernelProcess]) -> None:
        there = [kernel for kernel in kernels if not kernel.has_ended]
        for kernel in there:
            if kernel.checkpoints is not None and not kernel.is_running:
                kernel.checkpoints.let_surplus_go()
        self._busy -= {kernel for kernel in self._busy if kernel.has_ended}
        self._crowded -= {kernel for kernel in self._crowded if kernel.has_ended}
        before = {kernel: _successions(kernel) for kernel in there}
        for kernel, found in await anyio.to_thread.run_sync(self._measure_quickly, there):
            if _successions(kernel) != before[kernel]:
                continue  # what was measured is gone: the next look tells
            self._crowded.discard(kernel)
            if found.processes > _FEW_PROCESSES and not kernel.is_grouped:
                self._crowded.add(kernel)
            # Read before it is decided: code may have begun while it was measured.
            if kernel.is_running or found.processes > 1 or found.threads > 1:
                self._busy.add(kernel)
                self._something_to_watch.set()
            else:
                self._busy.discard(kernel)
            # A fork bomb's memory may be too much as well, and its processes are what it is.
            if (why := too_many(found, self._limits)) is not None:
                kernel.end_code(why)
            elif found.memory > self._limits.memory_bytes or kernel.storage.is_absolute():
                self._measure_apart(kernel, found)

    def _measure_quickly(self, kernels: list[KernelProcess]) -> list[tuple[KernelProcess, Usage]]:
        measured: list[tuple[KernelProcess, Usage]] = []
        for kernel in kernels:
            found = self._measurements.quick(
                kernel.pid,
                descriptors=not kernel.is_grouped,
                # Whoever has a file system of its own has the other namespaces, too.
                own_network=not (self._network or kernel.storage.is_absolute()),
            )
            measured.append((kernel, _of_code(kernel, found)))
        return measured

    def _measure_apart(self, kernel: KernelProcess, found: Usage) -> None:
        if kernel not in self._apart:
            self._apart.add(kernel)
            self._tasks.start_soon(guarded, self._decide_apart, kernel, found)

    async def _decide_apart(self, kernel: KernelProcess, found: Usage) -> None:
        began = anyio.current_time()
        try:
            if found.memory > self._limits.memory_bytes:
                await self._decide_by_memory(kernel)
            if kernel.storage.is_absolute() and not kernel.has_ended:
                used = await self._apart_in_thread(_disk_of, kernel.pid, kernel.storage)
                if used > self._limits.disk_bytes:
                    kernel.kill_soon(self._limits.disk(used))
            # So that a session that is slow to measure takes half a processor at most.
            await anyio.sleep(anyio.current_time() - began)
        finally:
            self._apart.discard(kernel)

    async def _decide_by_memory(self, kernel: KernelProcess) -> None:
        # Looked at before the whole: what ends in between has been counted in both then.
        limit = self._limits.memory_bytes + await self._held_by_leaving(kernel)
        before = _successions(kernel)
        memory, is_exact = await self._apart_in_thread(
            self._measurements.exact, kernel.pid, _EXACT_SECONDS
        )
        if memory <= limit:
            return
        with ExitStack() as stack:
            if not is_exact and not kernel.has_ended:
                # It cannot take more meanwhile.
                stack.enter_context(kernel.processes.standing_still())
                memory, _ = await self._apart_in_thread(
                    self._measurements.exact, kernel.pid, _STANDING_SECONDS
                )
            if memory > limit and _successions(kernel) == before:
                await self._end_for_memory(kernel, memory, limit)

    async def _held_by_leaving(self, kernel: KernelProcess) -> int:
        """Bytes that copies which were let go may not have given back yet."""
        if kernel.checkpoints is None or not (leaving := kernel.checkpoints.leaving):
            return 0
        held = await self._apart_in_thread(usage.most_of, kernel.pid, leaving)
        # Which of its processes are copies is in the session's own word.
        return min(held, self._limits.memory_bytes)

    async def _end_for_memory(self, kernel: KernelProcess, memory: int, limit: int) -> None:
        why = self._limits.memory(memory)
        copies = kernel.checkpoints
        if not copies:
            kernel.end_code(why, memory)
            return
        pids = copies.pids
        held = 0
        # Of several copies each may be what another shares: the next look tells.
        if len(pids) == 1:
            held = await self._apart_in_thread(usage.only_of, kernel.pid, pids)
        if kernel.has_ended:
            return
        if len(pids) <= 1 and memory - held > limit:
            kernel.end_code(why, memory)
        # So little is not the code's, and not worth the copy: the code may be about to fail.
        elif not copies.is_ending and (len(pids) > 1 or held > _SPARED_BYTES):
            copies.drop_one(FOR_MEMORY)

    async def _apart_in_thread(
        self, measure: Callable[[Unpack[Arguments]], T], *arguments: *Arguments
    ) -> T:
        return await anyio.to_thread.run_sync(measure, *arguments, limiter=self._threads)


def _successions(kernel: KernelProcess) -> int:
    """Grows where something else takes the place of what ran: what is measured is of one."""
    return 0 if kernel.checkpoints is None else kernel.checkpoints.clears


def _disk_of(pid: int, storage: Path) -> float:
    return directory_trees.size_of_tree(storage) + usage.deleted_files(pid, storage)


def _of_code(kernel: KernelProcess, found: Usage) -> Usage:
    """Without the processes that are there for checkpoints, but for their memory."""
    beside = 0 if kernel.checkpoints is None else kernel.checkpoints.processes
    return found._replace(processes=found.processes - beside, threads=found.threads - beside)
