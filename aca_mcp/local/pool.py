"""The embedded session pool: sessions forked from one template, kept by a registry.

The registry decides; this module starts, asks and ends processes accordingly.
"""

from __future__ import annotations

import os
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.embedded.background import guarded
from aca_mcp.embedded.live_sessions import LiveSessions, SessionInUse, acquired
from aca_mcp.embedded.output import streams_of
from aca_mcp.embedded.registry import Registry
from aca_mcp.embedded.replies import INTERFERED, parse_packages
from aca_mcp.errors import (
    FileMissingError,
    InvalidRequestError,
    NotSupportedError,
    PoolUnavailableError,
)
from aca_mcp.kernel.frames import FrameError
from aca_mcp.local.cgroups import GroupLimits
from aca_mcp.local.checkpoints import processes_beside
from aca_mcp.local.configuration import SCRATCH_BYTES, LocalPoolConfiguration
from aca_mcp.local.excess import limits_of, with_hint
from aca_mcp.local.files import SessionFiles, read_chunks
from aca_mcp.local.identities import Identities, reserve_identities
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.ready import ReadySessions
from aca_mcp.local.session_packages import Questions, SessionPackages
from aca_mcp.local.spawn import Spawner
from aca_mcp.local.templates import Templates, open_templates
from aca_mcp.local.watching import Watcher
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
from aca_mcp.reports.building import ExecutionContext, build_execution
from aca_mcp.sandbox.limits import allow_descriptors
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

    from aca_mcp.packages.broker import PackageBroker


CHUNK_BYTES = 2**20

_PACKAGES_SECONDS = 60


class LocalSessionPool:
    """Sessions on this machine. Implements ``SessionPool``; made by ``open_local_pool``."""

    def __init__(
        self,
        configuration: LocalPoolConfiguration,
        templates: Templates,
        identities: Identities | None,
        tasks: anyio.abc.TaskGroup,
        broker: Callable[[], PackageBroker] | None = None,
    ) -> None:
        self._configuration = configuration
        self._templates = templates
        files = configuration.disk_bytes + 2 * SCRATCH_BYTES  # in memory, so they count
        self._limits = limits_of(configuration)
        group_limits = GroupLimits(
            configuration.memory_bytes + files,
            configuration.max_processes
            + configuration.max_threads
            + processes_beside(configuration.checkpoints),
        )
        spawner = Spawner(templates, identities, group_limits, self._limits, tasks)
        ready = ReadySessions(spawner, templates, tasks, configuration.ready_sessions)
        self._registry = Registry(
            max_sessions=configuration.max_concurrent_sessions,
            cooldown_seconds=configuration.cooldown_seconds,
        )
        self._sessions = LiveSessions[KernelProcess](self._registry, ready)
        self._watcher = Watcher(self._sessions, self._limits, tasks)
        self._packages: tuple[Package, ...] | None = None
        self._installing = SessionPackages(broker, templates, configuration)
        self._tasks = tasks
        for task in (ready.keep, self._watcher.watch_busy, self._watcher.keep_house):
            tasks.start_soon(task)
        tasks.start_soon(templates.keep, ready.refill)

    @property
    def session_count(self) -> int:
        """How many sessions there are, those that are starting included."""
        return len(self._registry)

    def has_session(self, identifier: str) -> bool:
        """Whether there is a session of that identifier, or one is starting."""
        return self._registry.get(identifier) is not None

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
        deadline = anyio.current_time() + timeout_seconds
        while True:
            async with self._sessions.use(identifier) as use:
                if not await acquired(use.session.turn, deadline):
                    return not_begun(timeout_seconds)
                try:
                    # Earlier code may have ended the session while this waited for its turn.
                    if self._sessions.get(identifier) is use.session:
                        return await self._execute(
                            identifier, use, code, deadline, timeout_seconds, on_output
                        )
                finally:
                    use.session.turn.release()

    async def _execute(
        self,
        identifier: str,
        use: SessionInUse[KernelProcess],
        code: str,
        deadline: float,
        timeout_seconds: float,
        on_output: OutputCallback | None,
    ) -> Execution:
        began = anyio.current_time()
        self._watcher.code_begins(use.kernel)
        questions = Questions(self._installing, self._tasks, identifier, use.kernel)
        try:
            outcome = await use.kernel.request(
                {"op": "execute", "code": code},
                deadline=deadline,
                grace_seconds=self._configuration.interrupt_grace_seconds,
                max_output_bytes=self._configuration.max_output_bytes,
                on_output=on_output,
                on_question=questions.ask,
            )
        except FrameError as error:
            raise InvalidRequestError(
                "The code is too long to be sent: nothing was executed. Upload data as a file."
            ) from error
        finally:
            questions.close()
        exchange = outcome.exchange
        context = ExecutionContext(
            execution_id=secrets.token_hex(16),
            timeout_seconds=timeout_seconds,
            duration_seconds=anyio.current_time() - began,
            started_session=use.started,
            lost_before=self._registry.told(identifier),
            stopped=outcome.stopped,
            died=outcome.died,
        )
        streams = streams_of(exchange.stdout, exchange.stderr)
        execution = build_execution(exchange.report, streams, context)
        if outcome.rollback is not None:
            return replace(execution, session_lost=None, rollback=outcome.rollback)
        if execution.session_lost is not None:
            await self._sessions.end(identifier, execution.session_lost, use.session)
        if execution.error is None:
            return execution
        return replace(execution, error=with_hint(execution.error, self._limits))

    async def interrupt(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        session = self._sessions.get(identifier)
        return session is not None and session.kernel is not None and session.kernel.interrupt()

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
            yield FileDownload(entry, read_chunks(descriptor, entry.size_bytes))
        finally:
            os.close(descriptor)

    async def delete_file(self, identifier: str, path: str) -> None:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            await anyio.to_thread.run_sync(files.delete, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """See ``SessionPool``. Asked of the session itself, for it may have installed some."""
        async with self._sessions.use(identifier) as use:
            if use.session.turn.statistics().locked:
                return (await self.metadata()).packages
            async with use.session.turn:
                return await self._packages_of(identifier, use)

    async def _packages_of(
        self, identifier: str, use: SessionInUse[KernelProcess]
    ) -> tuple[Package, ...]:
        outcome = await use.kernel.request(
            {"op": "packages"},
            deadline=anyio.current_time() + _PACKAGES_SECONDS,
            grace_seconds=self._configuration.interrupt_grace_seconds,
            max_output_bytes=0,
        )
        try:
            if outcome.reply is not None:
                return parse_packages(outcome.reply)
            why = outcome.died or "it did not answer"
        except FrameError:
            why = INTERFERED
        if outcome.rollback is None:
            await self._sessions.end(identifier, why, use.session)
        left = "as they were." if outcome.rollback else "lost; the next call starts a new one."
        raise PoolUnavailableError(
            f"The session could not list its packages, because {why}. Its variables and files are "
            f"{left}"
        )

    async def install_packages(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """See ``SessionPool``. Waits for the end of code that runs, within bounds."""
        async with self._sessions.use(identifier) as use:
            return await self._installing.install(identifier, use, list(requirements))

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
            checkpoints=session.kernel.checkpoints_kept if session.kernel else None,
        )

    async def keep_alive(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        return self._registry.touch(identifier, anyio.current_time())

    async def undo(self, identifier: str) -> Rollback:
        """See ``SessionPool``."""
        session = self._sessions.get(identifier)
        why = "nothing has run in it"
        if session is not None and session.kernel is not None:
            async with session.turn:  # of code whose time is bounded
                rollback, why = await session.kernel.undo()
            if rollback is not None:
                return rollback
        raise NotSupportedError(
            f"The session cannot go back, because {why}. Nothing was undone. Assign again what "
            "should be different, or restart the session without `undo` to begin with none."
        )

    async def stop_session(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        return await self._sessions.end(identifier, None)

    async def metadata(self) -> PoolMetadata:
        """See ``SessionPool``."""
        template = await self._templates.ready()
        if self._packages is None:
            template.hurry()
            self._packages = await template.packages()
        isolation = template.isolation or Isolation.UNSAFE_NONE
        return PoolMetadata(
            kind="local",
            runtime=template.runtime,
            packages=self._packages,
            work_directory=WORK_DIRECTORY if isolation is Isolation.NAMESPACES else ".",
            max_timeout_seconds=self._configuration.max_timeout_seconds,
            max_file_bytes=self._configuration.max_file_bytes,
            network=self._configuration.network,
            isolation=isolation.value,
            checkpoints=self._configuration.checkpoints,
        )

    @asynccontextmanager
    async def _files(self, identifier: str) -> AsyncGenerator[SessionFiles]:
        async with self._sessions.use(identifier) as use:
            # A copy: the session may end, and its descriptor's number be used for another file,
            # while a thread still works with it.
            base = os.dup(use.kernel.base_directory)
            try:
                yield SessionFiles(
                    base, use.kernel.work_directory, self._configuration.max_file_bytes
                )
            except FileMissingError as error:
                record = self._registry.get(identifier)
                if record is None or record.lost_before is None:
                    raise
                raise FileMissingError(
                    f"{error} The session that had files is gone, because {record.lost_before}; "
                    "upload them again."
                ) from error
            finally:
                os.close(base)

    async def close(self) -> None:
        """End every session."""
        await self._sessions.end_all()


@asynccontextmanager
async def open_local_pool(
    configuration: LocalPoolConfiguration,
    broker: Callable[[], PackageBroker] | None = None,
) -> AsyncGenerator[LocalSessionPool]:
    """Open a pool on this machine, and end all its sessions at the end. Does not wait for it.

    Args:
        configuration: of the pool.
        broker: makes what brings packages that sessions ask for; None where they may have none.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    failure: Exception | None = None
    # Sessions are not affected: they have a limit of their own.
    allow_descriptors()
    async with AsyncExitStack() as stack:
        identities = stack.enter_context(reserve_identities()) if os.geteuid() == 0 else None
        users = identities and identities.block
        templates = await stack.enter_async_context(open_templates(configuration, users))
        async with anyio.create_task_group() as tasks:
            pool = LocalSessionPool(configuration, templates, identities, tasks, broker)
            # After the tasks have ended: one of them may be about to add a session.
            stack.push_async_callback(_close, pool)
            try:
                yield pool
            except Exception as error:
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _close(pool: LocalSessionPool) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        await guarded(pool.close)
