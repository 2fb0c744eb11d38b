"""The session pool of interpreters in WebAssembly: one process a session, kept by a registry."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.embedded.live_sessions import LiveSessions, SessionInUse
from aca_mcp.embedded.registry import Registry
from aca_mcp.embedded.replies import INTERFERED, parse_packages
from aca_mcp.errors import (
    FileMissingError,
    InvalidRequestError,
    NotSupportedError,
    PoolUnavailableError,
)
from aca_mcp.kernel.frames import FrameError
from aca_mcp.pool import (
    WORK_DIRECTORY,
    Execution,
    FileDownload,
    FileEntry,
    FileListing,
    Installation,
    OutputCallback,
    Package,
    PoolMetadata,
    Rollback,
    SessionInfo,
    not_begun,
)
from aca_mcp.wasm.artifacts import find_artifacts, packages_ahead, python_version
from aca_mcp.wasm.executions import execution_of
from aca_mcp.wasm.preparing import Preparation, open_preparation
from aca_mcp.wasm.process import Outcome, Printed, WasmProcess
from aca_mcp.wasm.ready import ReadySessions
from aca_mcp.wasm.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence

    from aca_mcp.wasm.configuration import WasmPoolConfiguration
    from aca_mcp.wasm.files import SessionFiles

CHUNK_BYTES = 2**20
_PACKAGES_SECONDS = 60


class WasmSessionPool:
    """Sessions in WebAssembly. Implements ``SessionPool``; made by ``open_wasm_pool``."""

    def __init__(
        self,
        configuration: WasmPoolConfiguration,
        preparation: Preparation,
        scratch: Path,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._configuration = configuration
        self._preparation = preparation
        ready = ReadySessions(preparation, configuration, scratch)
        self._registry = Registry(
            max_sessions=configuration.max_concurrent_sessions,
            cooldown_seconds=configuration.cooldown_seconds,
        )
        self._sessions = LiveSessions[WasmProcess](self._registry, ready)
        watcher = Watcher(self._sessions, configuration)
        for task in (ready.keep, watcher.watch_running, watcher.keep_house):
            tasks.start_soon(task)

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """See ``SessionPool``."""
        if not 0 < timeout_seconds <= self._configuration.max_timeout_seconds:
            raise InvalidRequestError(
                f"The timeout must be more than 0 and at most "
                f"{self._configuration.max_timeout_seconds:g} seconds."
            )
        # Neither what is made once on a machine nor the start of a session is the code's time.
        await self._preparation.wait(timeout_seconds, on_output)
        deadline: float | None = None
        printed = Printed(self._configuration.max_output_bytes, on_output)
        while True:
            async with self._sessions.use(identifier) as use:
                deadline = deadline or anyio.current_time() + timeout_seconds
                if not await _acquired(use.session.turn, deadline):
                    return not_begun(timeout_seconds)
                try:
                    # Earlier code may have ended the session while this waited for its turn.
                    if self._sessions.get(identifier) is use.session:
                        began = anyio.current_time()
                        outcome = await self._run(use, code, deadline, printed)
                        execution = execution_of(
                            outcome,
                            printed,
                            duration_seconds=anyio.current_time() - began,
                            started_session=use.started,
                            lost_before=self._registry.told(identifier),
                            timeout_seconds=timeout_seconds,
                        )
                        if (why := execution.session_lost) is not None:
                            await self._sessions.end(identifier, why, use.session)
                        return execution
                finally:
                    use.session.turn.release()

    async def _run(
        self, use: SessionInUse[WasmProcess], code: str, deadline: float, printed: Printed
    ) -> Outcome:
        try:
            return await use.kernel.request(
                {"op": "execute", "code": code},
                deadline=deadline,
                grace_seconds=self._configuration.interrupt_grace_seconds,
                printed=printed,
            )
        except FrameError as error:
            raise InvalidRequestError(
                "The code is too long to be sent: nothing was executed. Upload data as a file."
            ) from error

    async def interrupt(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        session = self._sessions.get(identifier)
        if session is None or session.kernel is None:
            return False
        return await session.kernel.interrupt()

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            return await anyio.to_thread.run_sync(
                lambda: files.list(directory, recursive=recursive)
            )

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            upload = await anyio.to_thread.run_sync(
                lambda: files.begin_upload(path, overwrite=overwrite)
            )
            try:
                async for data in content:
                    await anyio.to_thread.run_sync(upload.write, data)
                return await anyio.to_thread.run_sync(upload.finish)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(upload.close)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            descriptor, entry = await anyio.to_thread.run_sync(files.open_download, path)
            try:
                yield FileDownload(entry, _chunks(files, descriptor, entry.size_bytes))
            finally:
                files.close_file(descriptor)

    async def delete_file(self, identifier: str, path: str) -> None:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            await anyio.to_thread.run_sync(files.delete, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """See ``SessionPool``. Asked of the session itself, for code can bring its own."""
        deadline = anyio.current_time() + _PACKAGES_SECONDS
        async with self._sessions.use(identifier) as use:
            if not await _acquired(use.session.turn, deadline):
                raise PoolUnavailableError(
                    f"Code of this session still ran after {_PACKAGES_SECONDS} seconds, so its "
                    "packages could not be listed."
                )
            try:
                outcome = await use.kernel.request(
                    {"op": "packages"},
                    deadline=deadline,
                    grace_seconds=self._configuration.interrupt_grace_seconds,
                    printed=Printed(0, None),
                )
                try:
                    if outcome.reply is not None:
                        return parse_packages(outcome.reply)
                    why = outcome.died or "it did not answer"
                except FrameError:
                    why = INTERFERED
            finally:
                use.session.turn.release()
            await self._sessions.end(identifier, why, use.session)
            raise PoolUnavailableError(
                f"The session could not list its packages, because {why}. Its variables and "
                "files are lost; the next call starts a new one."
            )

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """See ``SessionPool``. Its interpreter has what it was built with."""
        raise NotSupportedError(
            "Packages cannot be installed in sessions of the wasm pool. Nothing was installed. "
            "list_packages tells what there is."
        )

    async def get_session(self, identifier: str) -> SessionInfo | None:
        """See ``SessionPool``."""
        session, record = self._sessions.get(identifier), self._registry.get(identifier)
        if session is None or record is None:
            return None
        now, clock = datetime.now(UTC), anyio.current_time()
        expiry = self._registry.expires_at(identifier)
        return SessionInfo(
            identifier=identifier,
            created_at=session.created_at,
            last_used_at=now - timedelta(seconds=clock - record.last_used_at),
            expires_at=None if expiry is None else now + timedelta(seconds=expiry - clock),
            running=session.kernel is not None and session.kernel.is_running,
        )

    async def keep_alive(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        return self._registry.touch(identifier, anyio.current_time())

    async def undo(self, identifier: str) -> Rollback:
        """See ``SessionPool``."""
        del identifier
        raise NotSupportedError(
            "A wasm pool keeps no checkpoints: nothing can be undone, and a crash "
            "costs all variables. Nothing was changed."
        )

    async def stop_session(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        return await self._sessions.end(identifier, None)

    async def metadata(self) -> PoolMetadata:
        """See ``SessionPool``. Known before anything is compiled."""

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
        )

    @asynccontextmanager
    async def _files(self, identifier: str) -> AsyncGenerator[SessionFiles]:
        async with self._sessions.use(identifier) as use:
            try:
                yield use.kernel.files
            except FileMissingError as error:
                record = self._registry.get(identifier)
                if record is None or record.lost_before is None:
                    raise
                raise FileMissingError(
                    f"{error} The session that had files is gone, because {record.lost_before}; "
                    "upload them again."
                ) from error

    async def close(self) -> None:
        """End every session."""
        await self._sessions.end_all()


async def _acquired(lock: anyio.Lock, deadline: float) -> bool:
    """Wait for a lock until a time of anyio's clock. False if it was not free by then."""
    try:
        lock.acquire_nowait()
    except anyio.WouldBlock:
        with anyio.CancelScope(deadline=deadline) as waiting:
            await lock.acquire()
        return not waiting.cancelled_caught
    return True


async def _chunks(files: SessionFiles, descriptor: int, size: int) -> AsyncIterator[bytes]:
    """The file as it was when it was opened; what code appends meanwhile is not read."""
    left = size
    while left > 0:
        data = await anyio.to_thread.run_sync(files.read, descriptor, min(CHUNK_BYTES, left))
        if not data:
            return
        left -= len(data)
        yield data


@asynccontextmanager
async def open_wasm_pool(
    configuration: WasmPoolConfiguration,
) -> AsyncGenerator[WasmSessionPool]:
    """Open a pool, and end all its sessions at the end. Does not wait for it."""
    failure: Exception | None = None
    scratch = Path(tempfile.mkdtemp(prefix="aca-mcp-"))
    try:
        async with (
            open_preparation(configuration) as preparation,
            AsyncExitStack() as stack,
            anyio.create_task_group() as tasks,
        ):
            pool = WasmSessionPool(configuration, preparation, scratch, tasks)
            # After the tasks have ended: one of them may be about to add a session.
            stack.push_async_callback(_close, pool)
            try:
                yield pool
            except Exception as error:
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if failure is not None:
        raise failure


async def _close(pool: WasmSessionPool) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        await pool.close()
