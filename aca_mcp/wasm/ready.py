"""Sessions started ahead of use, so that whoever asks for one finds it there."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.wasm.process import WasmProcess, start_process

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.wasm.configuration import WasmPoolConfiguration
    from aca_mcp.wasm.preparing import Preparation

_WAIT_SECONDS = 60.0
"""For the first start of this machine, where whoever asks for a session has not waited already."""


class ReadySessions:
    """Keeps a number of sessions ready, and hands them out.

    Args:
        preparation: what they need.
        configuration: what they are, and how many are kept.
        scratch: the directory for their files.
    """

    def __init__(
        self, preparation: Preparation, configuration: WasmPoolConfiguration, scratch: Path
    ) -> None:
        self._preparation = preparation
        self._configuration = configuration
        self._scratch = scratch
        self._numbers = itertools.count()
        self._ready: deque[WasmProcess] = deque()
        self._starting = anyio.Lock()
        self._wanted = anyio.Event()

    async def take(self) -> WasmProcess:
        """A session that is ready, or else one that is started now.

        Raises:
            PoolUnavailableError: none can be started, or not yet.
        """
        try:
            if ready := await self._next():
                return ready
            async with self._starting:
                # The one that was being started ahead may have come in the meantime.
                return await self._next() or await self._start()
        finally:
            self._wanted.set()

    async def keep(self) -> None:
        """Start sessions ahead whenever there are too few, until cancelled."""
        await self._preparation.over.wait()
        while True:
            self._wanted = anyio.Event()
            while len(self._ready) < self._configuration.ready_sessions:
                async with self._starting:
                    try:
                        self._ready.append(await self._start())
                    except PoolUnavailableError:
                        break  # whoever asks for a session is told
            await self._wanted.wait()

    def remove_all(self) -> list[WasmProcess]:
        """Hand over those that are ready, to be ended."""
        processes = list(self._ready)
        self._ready.clear()
        return processes

    async def _start(self) -> WasmProcess:
        prepared = await self._preparation.wait(_WAIT_SECONDS)
        storage = self._scratch / f"session-{next(self._numbers)}"
        return await start_process(prepared, self._configuration, storage)

    async def _next(self) -> WasmProcess | None:
        while self._ready:
            process = self._ready.popleft()
            if not process.has_ended:
                return process
            await process.kill(None)
        return None
