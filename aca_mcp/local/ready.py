"""Sessions started ahead of use, so that whoever asks for one finds it there.

The first is early: it is forked before the template has imported everything, for a client that
sends code as soon as it is connected. If nobody takes it, the next one replaces it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from aca_mcp.embedded.background import guarded, repeated
from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.local.spawn import Spawner
    from aca_mcp.local.templates import Templates

_REFILL_SECONDS = 0.03
"""Whoever took one is using it now; a fork at the same moment would make that slower."""


class ReadySessions:
    """Keeps a number of sessions ready, and hands them out.

    Args:
        spawner: starts sessions.
        templates: are told when somebody waits.
        tasks: those that ended while they were ready are freed in here.
        target: how many to keep.
    """

    def __init__(
        self,
        spawner: Spawner,
        templates: Templates,
        tasks: anyio.abc.TaskGroup,
        target: int,
    ) -> None:
        self._spawner = spawner
        self._templates = templates
        self._tasks = tasks
        self._target = target
        self._ready: deque[KernelProcess] = deque()
        self._early: KernelProcess | None = None
        self._spawning = anyio.Lock()
        self._wanted = anyio.Event()

    async def take(self) -> KernelProcess:
        """A session that is ready, or else one that is started now.

        Raises:
            PoolUnavailableError: none can be started.
        """
        try:
            if kernel := self._next():
                return kernel
            self._templates.answer_now()
            async with self._spawning:
                # The one that was being started ahead may have come in the meantime.
                return self._next() or await self._spawner.spawn(ahead=False)
        finally:
            self._wanted.set()

    async def keep(self) -> None:
        """Start sessions ahead whenever there are too few, until cancelled."""
        if self._target:
            await guarded(self._start_early)
        await repeated(self._fill)

    async def _start_early(self) -> None:
        self._templates.answer_now()
        self._early = await self._start()

    async def _fill(self) -> None:
        """Start what is missing, and wait until something may be again."""
        self._wanted = anyio.Event()
        self._forget_ended()
        while len(self._ready) < self._target or self._early in self._ready:
            if await self._start() is None:
                break
            early, self._early = self._early, None
            if early in self._ready:
                self._ready.remove(early)
                await early.kill(None)
        await self._wanted.wait()
        await anyio.sleep(_REFILL_SECONDS)

    async def _start(self) -> KernelProcess | None:
        """Start one more. None if that failed, of which whoever asks for a session is told."""
        async with self._spawning:
            try:
                kernel = await self._spawner.spawn(ahead=True)
            except PoolUnavailableError:
                return None
            self._ready.append(kernel)
        return kernel

    def refill(self) -> None:
        """Look again whether there are enough: those that were ready may have ended."""
        self._wanted.set()

    def remove_all(self) -> list[KernelProcess]:
        """Hand over those that are ready, to be ended."""
        kernels = list(self._ready)
        self._ready.clear()
        return kernels

    def _forget_ended(self) -> None:
        for kernel in [kernel for kernel in self._ready if kernel.has_ended]:
            self._ready.remove(kernel)
            self._tasks.start_soon(guarded, kernel.kill, None)

    def _next(self) -> KernelProcess | None:
        while self._ready:
            kernel = self._ready.popleft()
            if not kernel.has_ended:
                return kernel
            self._tasks.start_soon(guarded, kernel.kill, None)
        return None
