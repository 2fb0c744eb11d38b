"""The embedded session pool: sessions forked from one template, kept by a registry.

The registry decides; this module starts, asks and ends processes accordingly.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.errors import InvalidRequestError, PoolFullError, PoolUnavailableError
from aca_mcp.kernel.frames import FrameError
from aca_mcp.local import memory
from aca_mcp.local.cgroups import GroupLimits
from aca_mcp.local.configuration import SCRATCH_BYTES, LocalPoolConfiguration
from aca_mcp.local.executions import build_execution, not_begun
from aca_mcp.local.files import SessionFiles
from aca_mcp.local.registry import Admission, Registry
from aca_mcp.local.replies import parse_packages
from aca_mcp.local.spawn import Spawner
from aca_mcp.local.template_process import TemplateProcess, open_template
from aca_mcp.pool import (
    WORK_DIRECTORY,
    Execution,
    FileDownload,
    FileEntry,
    FileListing,
    OutputCallback,
    Package,
    PoolMetadata,
    SessionInfo,
    check_identifier,
)
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

    from aca_mcp.local.kernel_process import KernelProcess

CHUNK_BYTES = 2**20

_PACKAGES_SECONDS = 60
_WATCH_SECONDS = 0.05
"""How often running sessions are measured: what one can take in between is its overshoot."""
_HOUSEKEEPING_SECONDS = 1.0
"""How often idle sessions are measured, and those ended whose time is up."""


@dataclass(slots=True)
class _Session:
    """A session and what is needed to use it. ``kernel`` is there once ``started`` is set."""

    created_at: datetime
    started: anyio.Event = field(default_factory=anyio.Event)
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    kernel: KernelProcess | None = None
    failure: PoolUnavailableError | None = None


class LocalSessionPool:
    """Sessions on this machine. Implements ``SessionPool``; made by ``open_local_pool``."""

    def __init__(
        self,
        configuration: LocalPoolConfiguration,
        template: TemplateProcess,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._configuration = configuration
        self._template = template
        self._tasks = tasks
        files = configuration.disk_bytes + 2 * SCRATCH_BYTES  # in memory, so they count
        self._spawner = Spawner(
            template,
            GroupLimits(configuration.memory_bytes + files, configuration.max_processes),
        )
        self._spawning = anyio.Lock()
        self._ready: deque[KernelProcess] = deque()
        self._ready_wanted = anyio.Event()
        self._registry = Registry(
            max_sessions=configuration.max_concurrent_sessions,
            cooldown_seconds=configuration.cooldown_seconds,
        )
        self._sessions: dict[str, _Session] = {}
        self._packages: tuple[Package, ...] | None = None
        self._running = anyio.Event()
        self._ending: set[KernelProcess] = set()

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
        began = anyio.current_time()
        deadline = began + timeout_seconds
        async with self._use(identifier) as (session, kernel, started):
            with anyio.CancelScope(deadline=deadline) as waiting:
                await session.turn.acquire()
            if waiting.cancelled_caught:
                return not_begun(timeout_seconds)
            try:
                self._running.set()
                outcome, stdout, stderr = await kernel.request(
                    {"op": "execute", "code": code},
                    deadline=deadline,
                    grace_seconds=self._configuration.interrupt_grace_seconds,
                    max_output_bytes=self._configuration.max_output_bytes,
                    on_output=on_output,
                )
            finally:
                session.turn.release()
            lost_before = self._registry.told(identifier)
            execution = build_execution(
                outcome,
                stdout.text(),
                stderr.text(),
                duration_seconds=anyio.current_time() - began,
                started_session=started,
                lost_before=lost_before,
                timeout_seconds=timeout_seconds,
            )
            if execution.session_lost is not None:
                await self._end(identifier, execution.session_lost, session)
            return execution

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
            yield FileDownload(entry, _chunks(descriptor, entry.size_bytes))
        finally:
            os.close(descriptor)

    async def delete_file(self, identifier: str, path: str) -> None:
        """See ``SessionPool``."""
        async with self._files(identifier) as files:
            await anyio.to_thread.run_sync(files.delete, path)

    async def list_packages(self, identifier: str) -> tuple[Package, ...]:
        """See ``SessionPool``. Asked of the session itself, for it may have installed some."""
        async with self._use(identifier) as (session, kernel, _), session.turn:
            outcome, _, _ = await kernel.request(
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
                why = "its code interfered with the interpreter's own connection"
            await self._end(identifier, why, session)
            raise PoolUnavailableError(
                f"The session could not list its packages, because {why}. Its variables and "
                "files are lost; the next call starts a new one."
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

    async def stop_session(self, identifier: str) -> bool:
        """See ``SessionPool``."""
        return await self._end(identifier, None, self._sessions.get(identifier))

    async def metadata(self) -> PoolMetadata:
        """See ``SessionPool``."""
        await self._template.wait_ready()
        if self._packages is None:
            self._template.hurry()
            self._packages = await self._template.packages()
        isolation = self._template.isolation or Isolation.UNSAFE_NONE
        return PoolMetadata(
            kind="local",
            runtime=self._template.runtime,
            packages=self._packages,
            work_directory=WORK_DIRECTORY if isolation is Isolation.NAMESPACES else ".",
            max_timeout_seconds=self._configuration.max_timeout_seconds,
            max_file_bytes=self._configuration.max_file_bytes,
            network=self._configuration.network,
            isolation=isolation.value,
        )

    @asynccontextmanager
    async def _use(self, identifier: str) -> AsyncGenerator[tuple[_Session, KernelProcess, bool]]:
        """The session of an identifier, started if need be, and whether it was."""
        check_identifier(identifier)
        session = self._sessions.get(identifier)
        if session is not None and session.kernel is not None and session.kernel.has_ended:
            await self._end(identifier, await session.kernel.why_ended(), session)
        started = False
        match self._registry.admit(identifier, anyio.current_time()):
            case Admission.FULL:
                raise PoolFullError(
                    f"All {self._registry.max_sessions} sessions of the local pool are in use. "
                    "Nothing was executed. End a session that is not needed, or raise "
                    "ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS."
                )
            case Admission.START:
                started = True
                session = self._sessions[identifier] = _Session(datetime.now(UTC))
                await self._start(identifier, session)
            case Admission.USE:
                session = self._sessions[identifier]
                await session.started.wait()
        if session.kernel is None:
            raise session.failure or PoolUnavailableError("The session did not start. Try again.")
        self._registry.enter(identifier)
        try:
            yield session, session.kernel, started
        finally:
            self._registry.leave(identifier, anyio.current_time())

    async def _start(self, identifier: str, session: _Session) -> None:
        try:
            session.kernel = await self._take_ready()
            self._registry.started(identifier, anyio.current_time())
        except PoolUnavailableError as error:
            session.failure = error
            raise
        finally:
            if session.kernel is None:
                self._registry.ended(identifier, None)
                del self._sessions[identifier]
            session.started.set()

    @asynccontextmanager
    async def _files(self, identifier: str) -> AsyncGenerator[SessionFiles]:
        async with self._use(identifier) as (_, kernel, _):
            # A copy: the session may end, and its descriptor's number be used for another file,
            # while a thread still works with it.
            base = os.dup(kernel.base_directory)
            try:
                yield SessionFiles(base, kernel.work_directory, self._configuration.max_file_bytes)
            finally:
                os.close(base)

    async def _take_ready(self) -> KernelProcess:
        try:
            if kernel := self._next_ready():
                return kernel
            self._template.hurry()
            async with self._spawning:
                # The one that was being started ahead may have come in the meantime.
                return self._next_ready() or await self._spawner.spawn()
        finally:
            self._ready_wanted.set()

    def _next_ready(self) -> KernelProcess | None:
        while self._ready:
            kernel = self._ready.popleft()
            if not kernel.has_ended:
                return kernel
            self._tasks.start_soon(kernel.kill, None)
        return None

    async def _end(self, identifier: str, why: str | None, session: _Session | None) -> bool:
        """End a session, unless its identifier has another one by now. True if there was one."""
        if session is None or self._sessions.get(identifier) is not session:
            return False
        await session.started.wait()
        if self._sessions.get(identifier) is not session:
            return False
        del self._sessions[identifier]
        self._registry.ended(identifier, why)
        if session.kernel is not None:
            with anyio.CancelScope(shield=True):
                await session.kernel.kill(why or "it was stopped on request")
        return True

    async def keep_ready(self) -> None:
        """Keep sessions started ahead of use, for as long as the pool is open."""
        while True:
            self._ready_wanted = anyio.Event()
            while len(self._ready) < self._configuration.ready_sessions:
                async with self._spawning:
                    try:
                        self._ready.append(await self._spawner.spawn())
                    except PoolUnavailableError:
                        break  # whoever asks for a session is told
            await self._ready_wanted.wait()

    async def watch(self) -> None:
        """Hold running sessions, all their processes together, to their memory and disk."""
        while True:
            await self._running.wait()
            await anyio.sleep(_WATCH_SECONDS)
            running = [s for s in self._sessions.values() if s.kernel and s.kernel.is_running]
            if not running:
                self._running = anyio.Event()
            await self._hold(running)

    async def keep_house(self) -> None:
        """End sessions whose cooldown is over, and hold idle ones to their limits."""
        while True:
            await anyio.sleep(_HOUSEKEEPING_SECONDS)
            for identifier in self._registry.expired(anyio.current_time()):
                idle = f"nobody used it for {self._registry.cooldown_seconds:g} seconds"
                await self._end(identifier, idle, self._sessions.get(identifier))
            await self._hold([s for s in self._sessions.values() if s.kernel])

    async def _hold(self, sessions: list[_Session]) -> None:
        for session in sessions:
            kernel = session.kernel
            if kernel is None or kernel.has_ended:
                continue
            why = await anyio.to_thread.run_sync(self._excess_of, kernel)
            if why is not None:
                kernel.condemn(why)

    def _excess_of(self, kernel: KernelProcess) -> str | None:
        limit = self._configuration.memory_bytes
        if memory.exceeds(kernel.pid, limit):
            return f"it used more than {limit // 2**20:,} MiB of memory"
        own_disk = self._template.isolation is Isolation.NAMESPACES
        if not own_disk and memory.disk_of(kernel.storage) > self._configuration.disk_bytes:
            return f"it used more than {self._configuration.disk_bytes // 2**20:,} MiB of disk"
        return None

    async def close(self) -> None:
        """End every session."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        async with anyio.create_task_group() as ending:
            for kernel in (*self._ready, *(s.kernel for s in sessions if s.kernel)):
                ending.start_soon(kernel.kill, "the pool was closed")


async def _chunks(descriptor: int, size: int) -> AsyncIterator[bytes]:
    """The file as it was when it was opened; what code appends meanwhile is not read."""
    left = size
    while left > 0:
        data = await anyio.to_thread.run_sync(os.read, descriptor, min(CHUNK_BYTES, left))
        if not data:
            return
        left -= len(data)
        yield data


@asynccontextmanager
async def open_local_pool(
    configuration: LocalPoolConfiguration,
) -> AsyncGenerator[LocalSessionPool]:
    """Open a pool on this machine, and end all its sessions at the end. Does not wait for it.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    failure: Exception | None = None
    async with open_template(configuration) as template, anyio.create_task_group() as tasks:
        pool = LocalSessionPool(configuration, template, tasks)
        tasks.start_soon(pool.keep_ready)
        tasks.start_soon(pool.watch)
        tasks.start_soon(pool.keep_house)
        try:
            yield pool
        except Exception as error:
            failure = error
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                await pool.close()
    if failure is not None:
        raise failure
