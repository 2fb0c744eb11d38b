"""The local session pool: sessions forked from one template."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio.abc
import anyio.to_thread

from aca_mcp.background_tasks import background_tasks, guarded
from aca_mcp.embedded.pool import EmbeddedSessionPool
from aca_mcp.embedded.ready_sessions import ReadySessions
from aca_mcp.local.cgroups import GroupLimits
from aca_mcp.local.checkpoint_pacing import CheckpointPacing
from aca_mcp.local.checkpoints import processes_beside
from aca_mcp.local.configuration import SCRATCH_BYTES, LocalPoolConfiguration
from aca_mcp.local.exceeded_limits import is_of_full_disk, limits_of, with_hint
from aca_mcp.local.identities import Identities, reserve_identities
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.session_cgroups import ControlGroups, open_control_groups
from aca_mcp.local.session_packages import LocalPackages
from aca_mcp.local.spawn import Spawner
from aca_mcp.local.template_replacement import Templates, open_templates
from aca_mcp.local.usage import Measurements
from aca_mcp.local.watching import Watcher
from aca_mcp.pool import WORK_DIRECTORY, Package, PoolMetadata
from aca_mcp.sandbox.limits import allow_descriptors
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from aca_mcp.execution import ExecutionError
    from aca_mcp.local.files import LocalFiles
    from aca_mcp.packages.broker import PackageBroker


class LocalReadySessions(ReadySessions[KernelProcess]):
    """As the others, and with an early one.

    It is forked before the template has imported everything, for a client that sends code as soon
    as it is connected. If nobody takes it, the next one replaces it.

    Args:
        spawner: starts sessions.
        templates: are told when somebody waits.
        tasks: those that ended while they were ready are freed in here.
        target: how many to keep.
    """

    def __init__(
        self, spawner: Spawner, templates: Templates, tasks: anyio.abc.TaskGroup, target: int
    ) -> None:
        super().__init__(spawner.spawn, tasks, target)
        self._templates = templates

    def somebody_waits(self) -> None:
        """Have the template answer before it has imported everything."""
        self._templates.answer_now()

    async def keep(self) -> None:
        """Start sessions ahead whenever there are too few, until cancelled."""
        if self.target:
            await guarded(self._start_early)
        await super().keep()

    async def _start_early(self) -> None:
        self._templates.answer_now()
        early = await self.start_ahead()
        if early is not None and await self.start_ahead() is not None:
            await self.end_unless_taken(early)


class LocalSessionPool(EmbeddedSessionPool[KernelProcess]):
    """Sessions on this machine. Implements ``SessionPool``; made by ``open_local_pool``."""

    def __init__(
        self,
        configuration: LocalPoolConfiguration,
        templates: Templates,
        identities: Identities | None,
        groups: ControlGroups,
        tasks: anyio.abc.TaskGroup,
        broker: Callable[[], PackageBroker] | None,
        measurements: Measurements,
    ) -> None:
        self._configuration = configuration
        self._templates = templates
        self._limits = limits_of(configuration)
        spawner = Spawner(templates, identities, groups, self._limits, tasks)
        ready = LocalReadySessions(spawner, templates, tasks, configuration.ready_sessions)
        packages = LocalPackages(broker, templates, configuration)
        super().__init__(configuration, ready, packages, tasks)
        self._watcher = Watcher(
            self._sessions,
            self._limits,
            tasks,
            network=configuration.network,
            measurements=measurements,
        )
        self._pacing = CheckpointPacing(os.cpu_count() or 1)
        self._packages: tuple[Package, ...] | None = None
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

    async def _code_begins(self, identifier: str, kernel: KernelProcess) -> dict[str, object]:
        self._watcher.code_begins(kernel)
        return {"copy_after": self._pacing.begins(identifier, time.monotonic())}

    async def _explained(self, kernel: KernelProcess, error: ExecutionError) -> ExecutionError:
        largest = ""
        if is_of_full_disk(error):
            with self._open_files(kernel) as files:
                largest = await anyio.to_thread.run_sync(files.largest)
        return with_hint(error, self._limits, largest)

    async def metadata(self) -> PoolMetadata:
        template = await self._templates.ready()
        if self._packages is None:
            template.answer_now()
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
            limits=self._configuration.limits._replace(
                processes=self._configuration.max_processes,
                threads=self._configuration.max_threads,
            ),
        )

    @contextmanager
    def _open_files(self, kernel: KernelProcess) -> Generator[LocalFiles]:
        from aca_mcp.local.files import LocalFiles  # a client waits for the start

        # A copy: the session may end, and its descriptor's number be used for another file,
        # while a thread still works with it.
        base = os.dup(kernel.base_directory)
        try:
            yield LocalFiles(
                base,
                kernel.work_directory,
                self._configuration.max_file_bytes,
                self._configuration.disk_bytes,
            )
        finally:
            os.close(base)


@asynccontextmanager
async def open_local_pool(
    configuration: LocalPoolConfiguration,
    broker: Callable[[], PackageBroker] | None = None,
    *,
    measurements: Measurements | None = None,
) -> AsyncGenerator[LocalSessionPool]:
    """Open a pool on this machine, and end all its sessions at the end. Does not wait for it.

    Args:
        configuration: of the pool.
        broker: makes what brings packages that sessions ask for; None where they may have none.
        measurements: how sessions are measured, instead of the usual ones.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    # Sessions are not affected: they have a limit of their own.
    allow_descriptors()
    async with AsyncExitStack() as stack:
        identities = stack.enter_context(reserve_identities()) if os.geteuid() == 0 else None
        users = identities and identities.block
        groups = await stack.enter_async_context(open_control_groups(_group_limits(configuration)))
        templates = await stack.enter_async_context(open_templates(configuration, users))
        async with background_tasks() as tasks:
            pool = LocalSessionPool(
                configuration,
                templates,
                identities,
                groups,
                tasks,
                broker,
                measurements or Measurements(),
            )
            # After the tasks have ended: one of them may be about to add a session. The template
            # goes first, and sessions with it: while it imports, it lets go of none of them soon.
            stack.push_async_callback(pool.close)
            stack.push_async_callback(guarded, templates.close)
            yield pool


def _group_limits(configuration: LocalPoolConfiguration) -> GroupLimits:
    files = configuration.disk_bytes + 2 * SCRATCH_BYTES  # in memory, so they count
    beside = processes_beside(configuration.checkpoints)
    return GroupLimits(
        configuration.memory_bytes + files,
        configuration.max_processes + configuration.max_threads + beside,
    )
