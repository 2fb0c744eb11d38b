"""Waits for what a machine has to make once, while another process makes it."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.pool import OutputChunk
from aca_mcp.wasm.artifacts import find_artifacts
from aca_mcp.wasm.cache import make_private, mark_used
from aca_mcp.wasm.prepare import COMPILING, locate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import OutputCallback
    from aca_mcp.wasm.cache import Prepared
    from aca_mcp.wasm.configuration import WasmPoolConfiguration

EXPECTED_SECONDS = 150.0
"""Of one processor, for the first start on a machine; later ones find all of it there."""
_TELL_SECONDS = 5.0
_TELL_FIRST_SECONDS = 0.5
_STEPS = {
    COMPILING: "compiling the interpreter for this machine, which is done once and takes minutes",
    "importing": "starting the interpreter and importing its libraries, which is done once",
}


class Preparation:
    """What a wasm pool needs before it has sessions. Made by ``open_preparation``."""

    def __init__(self, configuration: WasmPoolConfiguration) -> None:
        self._configuration = configuration
        self.over = anyio.Event()
        """Set when it is done, or has failed."""
        self._prepared: Prepared | None = None
        self._failure = ""
        self._began = anyio.current_time()
        self.step = ""
        """What is being done now: a clause; empty where nothing had to be."""

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return anyio.current_time() - self._began

    def fraction(self, processors: int) -> float:
        """How much of it is done, guessed by the time; the compiler does not tell."""
        return min(self.seconds / (EXPECTED_SECONDS / processors), 0.99)

    async def run(self) -> None:
        """Make what is missing; whoever waits hears of a failure."""
        try:
            self._prepared = await self._make()
        except PoolUnavailableError as error:
            self._failure = error.message
        finally:
            self.over.set()

    async def wait(self, seconds: float, on_output: OutputCallback | None = None) -> Prepared:
        """The entries of the cache.

        Args:
            seconds: how long to wait.
            on_output: is told now and then what is waited for.

        Raises:
            PoolUnavailableError: they cannot be made, or are not there yet.
        """
        end = anyio.current_time() + seconds
        pause = _TELL_FIRST_SECONDS
        while not self.over.is_set() and anyio.current_time() < end:
            with anyio.move_on_after(min(pause, end - anyio.current_time())):
                await self.over.wait()
            pause = _TELL_SECONDS if self.step else _TELL_FIRST_SECONDS
            if not self.over.is_set() and on_output is not None and self.step:
                on_output(OutputChunk("stderr", f"{self.step}: {self.seconds:.0f} s\n"))
        if self._prepared is not None:
            return self._prepared
        raise PoolUnavailableError(
            self._failure
            or f"The pool is not ready: it is {self.step or 'starting'} ({self.seconds:.0f} s so "
            "far). Nothing was executed; try again in a minute."
        )

    async def _make(self) -> Prepared:
        cache, preimport = self._configuration.cache_directory, self._configuration.preimport
        prepared = await anyio.to_thread.run_sync(self._locate)
        if prepared.is_complete:
            await anyio.to_thread.run_sync(mark_used, prepared)
            return prepared
        command = [sys.executable, "-P", "-m", "aca_mcp.wasm.prepare", str(cache), *preimport]
        async with await anyio.open_process(command) as process:
            if process.stdin is not None:
                await process.stdin.aclose()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drain, process.stderr)
                if process.stdout is not None:
                    await self._follow(process.stdout)
        if self._failure or not prepared.is_complete:
            raise PoolUnavailableError(
                self._failure or "The interpreter could not be compiled: its process ended."
            )
        return prepared

    def _locate(self) -> Prepared:
        artifacts = find_artifacts()
        make_private(self._configuration.cache_directory)
        return locate(self._configuration.cache_directory, artifacts, self._configuration.preimport)

    async def _follow(self, lines: anyio.abc.ByteReceiveStream) -> None:
        rest = b""
        async for data in lines:
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                said = cast("dict[str, object]", json.loads(line))
                self.step = _STEPS.get(str(said.get("step")), self.step)
                self._failure = str(said.get("refused", ""))


async def _drain(stream: anyio.abc.ByteReceiveStream | None) -> None:
    if stream is not None:
        async for _ in stream:
            pass


@asynccontextmanager
async def open_preparation(configuration: WasmPoolConfiguration) -> AsyncGenerator[Preparation]:
    """Begin at once, and end with the context whether or not it is done."""
    async with anyio.create_task_group() as tasks:
        preparation = Preparation(configuration)
        tasks.start_soon(preparation.run)
        try:
            yield preparation
        finally:
            tasks.cancel_scope.cancel()
