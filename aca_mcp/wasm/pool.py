"""The session pool of interpreters in WebAssembly: one process a session."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.background_tasks import background_tasks
from aca_mcp.embedded.pool import EmbeddedSessionPool
from aca_mcp.embedded.ready_sessions import ReadySessions
from aca_mcp.pool import WORK_DIRECTORY, Package, PoolMetadata
from aca_mcp.wasm.artifacts import find_artifacts, packages_ahead, python_version
from aca_mcp.wasm.first_start import Preparation, open_preparation
from aca_mcp.wasm.limit_hints import with_hint
from aca_mcp.wasm.process import WasmProcess, start_process
from aca_mcp.wasm.session_packages import WasmPackages
from aca_mcp.wasm.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from aca_mcp.embedded.files import SessionFiles
    from aca_mcp.embedded.live_sessions import SessionInUse
    from aca_mcp.packages.broker import PackageBroker
    from aca_mcp.pool import Execution, ExecutionError, OutputCallback
    from aca_mcp.wasm.configuration import WasmPoolConfiguration

_WAIT_SECONDS = 60.0
"""For the first start of this machine, where whoever asks for a session has not waited already."""


class WasmSessionPool(EmbeddedSessionPool[WasmProcess]):
    """Sessions in WebAssembly. Implements ``SessionPool``; made by ``open_wasm_pool``."""

    def __init__(
        self,
        configuration: WasmPoolConfiguration,
        preparation: Preparation,
        scratch: Path,
        tasks: anyio.abc.TaskGroup,
        broker: Callable[[], PackageBroker] | None = None,
    ) -> None:
        self._configuration = configuration
        self._preparation = preparation
        self._scratch = scratch
        self._numbers = itertools.count()
        ready = ReadySessions(self._start, tasks, configuration.ready_sessions)
        super().__init__(configuration, ready, WasmPackages(broker, configuration), tasks)
        self._watcher = Watcher(self._sessions, configuration)
        tasks.start_soon(self._keep, ready)
        for task in (self._watcher.watch_running, self._watcher.keep_house):
            tasks.start_soon(task)

    async def _keep(self, ready: ReadySessions[WasmProcess]) -> None:
        # Not while one is being started: who then asks for a session would wait as long.
        await self._preparation.over.wait()
        await ready.keep()

    async def _start(self, *, ahead: bool) -> WasmProcess:
        del ahead  # it is all the same to a process of its own
        prepared = await self._preparation.wait(_WAIT_SECONDS)
        storage = self._scratch / f"session-{next(self._numbers)}"
        return await start_process(prepared, self._configuration, storage)

    async def _prepare(self, timeout_seconds: float, on_output: OutputCallback | None) -> None:
        await self._preparation.wait(timeout_seconds, on_output)

    async def _code_begins(self, identifier: str, kernel: WasmProcess) -> dict[str, object]:
        del identifier
        await self._watcher.code_begins(kernel)
        return {}

    async def _run(
        self,
        identifier: str,
        use: SessionInUse[WasmProcess],
        code: str,
        timeout_seconds: float,
        on_output: OutputCallback | None,
    ) -> Execution:
        execution = await super()._run(identifier, use, code, timeout_seconds, on_output)
        too_much = await self._watcher.code_has_ended(use.kernel)
        if too_much is None or execution.session_lost is not None:
            return execution
        return execution._replace(session_lost=too_much, rollback=None, files=(), kept_files=())

    async def _explained(self, kernel: WasmProcess, error: ExecutionError) -> ExecutionError:
        del kernel
        return with_hint(error, self._configuration.memory_bytes, self._configuration.disk_bytes)

    async def metadata(self) -> PoolMetadata:
        """Known before anything is compiled."""

        def look() -> tuple[str, tuple[Package, ...]]:
            artifacts = find_artifacts()
            return python_version(artifacts), packages_ahead(artifacts)

        version, packages = await anyio.to_thread.run_sync(look)
        return PoolMetadata(
            kind="wasm",
            runtime=f"Python {version}",
            packages=packages,
            work_directory=WORK_DIRECTORY,
            max_timeout_seconds=self._configuration.max_timeout_seconds,
            max_file_bytes=self._configuration.max_file_bytes,
            network=False,
            isolation="webassembly",
            checkpoints=self._configuration.checkpoints,
            limits=self._configuration.limits,
        )

    def _open_files(self, kernel: WasmProcess) -> AbstractContextManager[SessionFiles]:
        return nullcontext(kernel.files)


@asynccontextmanager
async def open_wasm_pool(
    configuration: WasmPoolConfiguration,
    broker: Callable[[], PackageBroker] | None = None,
) -> AsyncGenerator[WasmSessionPool]:
    """Open a pool, and end all its sessions at the end. Does not wait for it.

    Args:
        configuration: of the pool.
        broker: makes what brings packages that sessions ask for; None where they may have none.
    """
    scratch = Path(tempfile.mkdtemp(prefix="aca-mcp-"))
    try:
        async with (
            open_preparation(configuration) as preparation,
            AsyncExitStack() as stack,
            background_tasks() as tasks,
        ):
            pool = WasmSessionPool(configuration, preparation, scratch, tasks, broker)
            # After the tasks have ended: one of them may be about to add a session.
            stack.push_async_callback(pool.close)
            yield pool
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
