"""What a session pool of this machine is, whatever the processes of its sessions are.

The registry decides; this module asks and ends processes accordingly. What runs in them, and how
their files are reached, is each pool's own business.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Generic

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.background_tasks import guarded
from aca_mcp.embedded.live_sessions import LiveSessions, SessionInUse
from aca_mcp.embedded.registry import Registry
from aca_mcp.embedded.replies import INTERFERED, parse_packages
from aca_mcp.embedded.session_packages import InstallRequests, SessionPackages
from aca_mcp.embedded.session_process import NOTHING_RAN, Kernel
from aca_mcp.errors import (
    FileMissingError,
    InvalidRequestError,
    NotSupportedError,
    PoolUnavailableError,
)
from aca_mcp.kernel.message_framing import FrameError
from aca_mcp.pool import FileDownload, PoolMetadata, SessionInfo, not_begun
from aca_mcp.reports.building import ExecutionContext, build_execution
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence
    from contextlib import AbstractContextManager

    from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration
    from aca_mcp.embedded.files import SessionFiles
    from aca_mcp.embedded.ready_sessions import ReadySessions
    from aca_mcp.execution import ExecutionError
    from aca_mcp.pool import (
        Execution,
        FileEntry,
        FileListing,
        Installation,
        OutputCallback,
        Package,
        Rollback,
    )

_PACKAGES_SECONDS = 60
_CLOSE_SECONDS = 5


class EmbeddedSessionPool(ABC, Generic[Kernel]):
    """Implements ``SessionPool`` but for what is in its sessions.

    Args:
        configuration: of the pool.
        ready: where sessions come from.
        packages: what they may install.
        tasks: where what their code asks for is answered.
    """

    def __init__(
        self,
        configuration: EmbeddedPoolConfiguration,
        ready: ReadySessions[Kernel],
        packages: SessionPackages[Kernel],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._common = configuration
        self._installing = packages
        self._tasks = tasks
        self._registry = Registry(
            max_sessions=configuration.max_concurrent_sessions,
            cooldown_seconds=configuration.cooldown_seconds,
        )
        self._sessions = LiveSessions[Kernel](self._registry, ready)

    async def _prepare(self, timeout_seconds: float, on_output: OutputCallback | None) -> None:
        """Wait for what is made once on a machine, which is not the code's time."""

    @abstractmethod
    async def _code_begins(self, identifier: str, kernel: Kernel) -> dict[str, object]:
        """Take note of it. What its request says beside the code."""

    @abstractmethod
    async def _explained(self, kernel: Kernel, error: ExecutionError) -> ExecutionError:
        """An error of code with the limit that it met, if it met one."""

    @abstractmethod
    def _open_files(self, kernel: Kernel) -> AbstractContextManager[SessionFiles]:
        """The files of a session, which may end meanwhile."""

    @abstractmethod
    async def metadata(self) -> PoolMetadata: ...

    async def execute(
        self,
        identifier: str,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        longest = self._common.max_timeout_seconds
        if not 0 < timeout_seconds <= longest:
            raise InvalidRequestError(
                f"The timeout must be more than 0 and at most {longest:g} seconds "
                "(ACA_MCP_LOCAL_MAX_TIMEOUT_SECONDS). Nothing was executed."
            )
        await self._prepare(timeout_seconds, on_output)
        async with self._sessions.take_turn(identifier, timeout_seconds) as use:
            if use is None:
                return not_begun(timeout_seconds)
            try:
                execution = await self._run(identifier, use, code, timeout_seconds, on_output)
            except FrameError as error:
                raise InvalidRequestError(
                    "The code is too long to be sent: nothing was executed. Upload data as a file."
                ) from error
            if execution.session_lost is not None:
                await self._sessions.end(identifier, execution.session_lost, use.session)
            return execution

    async def _run(
        self,
        identifier: str,
        use: SessionInUse[Kernel],
        code: str,
        timeout_seconds: float,
        on_output: OutputCallback | None,
    ) -> Execution:
        """Run code until ``use.deadline``; ``timeout_seconds`` is what the caller gave it."""
        began = time.monotonic()
        header = await self._code_begins(identifier, use.kernel)
        requests = InstallRequests(
            self._tasks, partial(self._installing.bring, identifier, use.kernel), use.kernel.answer
        )
        try:
            outcome = await use.kernel.request(
                {
                    "op": "execute",
                    "code": code,
                    "max_side": self._common.max_image_side,
                    **header,
                },
                deadline=use.deadline,
                grace_seconds=self._common.interrupt_grace_seconds,
                max_output_bytes=self._common.max_output_bytes,
                on_output=on_output,
                on_question=requests.ask,
            )
        finally:
            requests.close()
        context = ExecutionContext(
            execution_id=secrets.token_hex(16),
            timeout_seconds=timeout_seconds,
            duration_seconds=time.monotonic() - began,
            started_session=use.started,
            lost_before=self._registry.told(identifier),
            stopped=outcome.stopped,
            died=outcome.died,
        )
        execution = build_execution(outcome.output.report, outcome.output.streams, context)
        if outcome.rollback is not None:
            return execution._replace(session_lost=None, rollback=outcome.rollback)
        if execution.error is None:
            return execution
        return execution._replace(error=await self._explained(use.kernel, execution.error))

    async def interrupt(self, identifier: str) -> bool:
        session = self._sessions.get(identifier)
        if session is None or session.kernel is None:
            return False
        return await session.kernel.interrupt()

    async def list_files(
        self, identifier: str, directory: str = "", *, recursive: bool = False
    ) -> FileListing:
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
        async with self._files(identifier) as files:
            file = await anyio.to_thread.run_sync(files.open_download, path)
            try:
                yield FileDownload(file.entry, file.chunks())
            finally:
                file.close()

    async def delete_file(self, identifier: str, path: str) -> None:
        async with self._files(identifier) as files:
            await anyio.to_thread.run_sync(files.delete, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """Asked of the session itself, for it may have got some."""
        async with self._sessions.take_turn(identifier, 0) as use:
            if use is None:
                return (await self.metadata()).packages
            outcome = await use.kernel.request(
                {"op": "packages"},
                deadline=anyio.current_time() + _PACKAGES_SECONDS,
                grace_seconds=self._common.interrupt_grace_seconds,
            )
            try:
                if outcome.reply is not None:
                    return parse_packages(outcome.reply)
                why = outcome.died or "it did not answer"
            except FrameError:
                why = INTERFERED
            left = "as they were"
            if outcome.rollback is None:
                await self._sessions.end(identifier, why, use.session)
                left = "lost; the next call starts a new one"
            elif outcome.rollback.executions:
                undone = outcome.rollback._replace(begins="").undone  # errors carry no code
                left = f"as they were before {undone}"
            raise PoolUnavailableError(
                f"The session could not list its packages, because {why}. Its variables and files "
                f"are {left}."
            )

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """Waits for the end of code that runs, within bounds."""
        async with self._sessions.use(identifier) as use:
            return await self._installing.install(identifier, use, list(requirements))

    async def get_session(self, identifier: str) -> SessionInfo | None:
        session, record = self._sessions.get(identifier), self._registry.get(identifier)
        if session is None or record is None:
            return None
        now, clock = datetime.now(UTC), time.monotonic()
        expiry = self._registry.expires_at(identifier)
        return SessionInfo(
            identifier=identifier,
            created_at=session.created_at,
            last_used_at=now - timedelta(seconds=clock - record.last_used_at),
            expires_at=None if expiry is None else now + timedelta(seconds=expiry - clock),
            running=session.kernel is not None and session.kernel.is_running,
            checkpoints=session.kernel.checkpoints_kept if session.kernel else None,
            went_back=session.kernel.went_back if session.kernel else None,
        )

    async def keep_alive(self, identifier: str) -> bool:
        return self._registry.touch(identifier, time.monotonic())

    async def undo(self, identifier: str) -> Rollback:
        session = self._sessions.get(identifier)
        why = NOTHING_RAN
        if session is not None and session.kernel is not None:
            deadline = anyio.current_time() + self._common.max_timeout_seconds
            async with session.turn.take(deadline) as waited:
                if waited is Waited.TAKEN:
                    rollback, why = await session.kernel.undo()
                    if rollback is not None:
                        return rollback
                else:
                    late = waited is Waited.TOO_LATE
                    why = "earlier code of it still runs" if late else "it has ended meanwhile"
        raise NotSupportedError(
            f"The session cannot go back, because {why}. Nothing was undone. Assign again what "
            "should be different, or restart the session without `undo` to begin with none."
        )

    async def stop_session(self, identifier: str) -> bool:
        return await self._sessions.end(identifier, None)

    @asynccontextmanager
    async def _files(self, identifier: str) -> AsyncGenerator[SessionFiles]:
        async with self._sessions.use(identifier) as use:
            try:
                with self._open_files(use.kernel) as files:
                    yield files
            except FileMissingError as error:
                record = self._registry.get(identifier)
                if record is None or record.lost_before is None:
                    raise
                raise FileMissingError(
                    f"{error} The session that had files is gone, because {record.lost_before}; "
                    "upload them again."
                ) from error

    async def close(self) -> None:
        """End every session, within a few seconds, whatever happens."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
            await guarded(self._sessions.end_all)
