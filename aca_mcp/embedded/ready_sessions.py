"""Sessions started ahead of use, so that whoever asks for one finds it there."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio
import anyio.abc

from aca_mcp.background_tasks import guarded, repeated
from aca_mcp.embedded.session_process import Kernel
from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable

_REFILL_SECONDS = 0.03
"""Whoever took one is using it now; a start at the same moment would make that slower."""


_Started = TypeVar("_Started", covariant=True)


class Start(Protocol[_Started]):
    """Starts a session, or raises ``PoolUnavailableError``."""

    def __call__(self, *, ahead: bool) -> Awaitable[_Started]:
        """Return it ready to run code; ``ahead`` if nobody waits for it."""
        ...


class ReadySessions(Generic[Kernel]):
    """Keeps a number of sessions ready, and hands them out.

    Args:
        start: starts one.
        tasks: those that ended while they were ready are freed in here.
        target: how many to keep.
    """

    def __init__(self, start: Start[Kernel], tasks: anyio.abc.TaskGroup, target: int) -> None:
        self._start = start
        self._tasks = tasks
        self.target = target
        self._ready: deque[Kernel] = deque()
        self._starting = anyio.Lock()
        self._wanted = anyio.Event()

    async def take(self) -> Kernel:
        """A session that is ready, or else one that is started now.

        Raises:
            PoolUnavailableError: none can be started.
        """
        try:
            if kernel := self._next():
                return kernel
            self.somebody_waits()
            async with self._starting:
                # The one that was being started ahead may have come in the meantime.
                return self._next() or await self._start(ahead=False)
        finally:
            self._wanted.set()

    def somebody_waits(self) -> None:
        """Make haste, where that can be."""

    async def keep(self) -> None:
        """Start sessions ahead whenever there are too few, until cancelled."""
        await repeated(self._fill)

    async def start_ahead(self) -> Kernel | None:
        """Start one more. None if that failed, of which whoever asks for a session is told."""
        async with self._starting:
            try:
                kernel = await self._start(ahead=True)
            except PoolUnavailableError:
                return None
            self._ready.append(kernel)
        return kernel

    async def end_unless_taken(self, kernel: Kernel) -> None:
        """End one that is ready, if it still is."""
        if kernel in self._ready:
            self._ready.remove(kernel)
            await kernel.kill(None)

    def refill(self) -> None:
        """Look again whether there are enough: those that were ready may have ended."""
        self._wanted.set()

    def remove_all(self) -> list[Kernel]:
        """Hand over those that are ready, to be ended."""
        kernels = list(self._ready)
        self._ready.clear()
        return kernels

    async def _fill(self) -> None:
        """Start what is missing, and wait until something may be again."""
        self._wanted = anyio.Event()
        for kernel in [kernel for kernel in self._ready if kernel.has_ended]:
            self._ready.remove(kernel)
            self._free(kernel)
        while len(self._ready) < self.target:
            if await self.start_ahead() is None:
                break
        await self._wanted.wait()
        await anyio.sleep(_REFILL_SECONDS)

    def _next(self) -> Kernel | None:
        while self._ready:
            kernel = self._ready.popleft()
            if not kernel.has_ended:
                return kernel
            self._free(kernel)
        return None

    def _free(self, ended: Kernel) -> None:
        self._tasks.start_soon(guarded, ended.kill, None)
