"""How a session's process comes to be: descriptors, a fork in the template, containment."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.cgroups import GroupLimits, Groups, SessionGroup, find_groups
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.messages import SessionRequest
from aca_mcp.sandbox.namespaces import UNPRIVILEGED_ID
from aca_mcp.sandbox.policy import Isolation

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.local.template_process import TemplateProcess

_FIRST_IDENTITY = 62_000
_IDENTITIES = 2_900
"""Users that root gives to sessions without namespaces: in no database, below the 65,536 that a
container has, and each used again only when thousands of others have been."""


class Spawner:
    """Starts session processes of one template."""

    def __init__(
        self,
        template: TemplateProcess,
        group_limits: GroupLimits,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._template = template
        self._tasks = tasks
        self._group_limits = group_limits
        self._numbers = itertools.count()
        self._groups: Groups | None = None
        self._looked_for_groups = False
        self._looking = threading.Lock()

    async def spawn(self, *, ahead: bool) -> KernelProcess:
        """Start a session, and return it contained and ready to run code.

        Args:
            ahead: nobody waits for it.

        Raises:
            PoolUnavailableError: it could not be started.
        """
        await self._template.wait_ready()
        try:
            kernel = await self._fork(ahead=ahead)
        except OSError as error:
            raise PoolUnavailableError(
                f"A local session could not be started: {error.strerror}. Stop sessions that are "
                "not needed, and try again."
            ) from error
        try:
            await kernel.start()
        except (PoolUnavailableError, OSError) as error:
            await kernel.kill("it could not be started")
            raise PoolUnavailableError(str(error) or "A local session did not start.") from error
        except anyio.get_cancelled_exc_class():
            await kernel.kill("it is not wanted any more")
            raise
        return kernel

    async def _fork(self, *, ahead: bool) -> KernelProcess:
        storage, identity = await self._storage(next(self._numbers))
        with ExitStack() as ours, ExitStack() as theirs:
            control, control_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            ours.enter_context(control)
            theirs.enter_context(control_theirs)
            owner = self._owner_of_streams(identity)
            stdout, stdout_theirs = _pipe(ours, theirs, owner)
            stderr, stderr_theirs = _pipe(ours, theirs, owner)
            control.setblocking(False)
            pid, process = await self._template.fork(
                SessionRequest(str(storage), identity, ahead),
                (control_theirs.fileno(), stdout_theirs, stderr_theirs),
            )
            kernel = KernelProcess(self._template, storage, pid, process, control, stdout, stderr)
            ours.pop_all()
        self._tasks.start_soon(self._group, kernel)
        return kernel

    async def _group(self, kernel: KernelProcess) -> None:
        try:
            group = await anyio.to_thread.run_sync(self._make_group)
        except OSError:
            kernel.condemn("its limits could not be set up")
            return
        if group is not None:
            await kernel.join(group)

    def _make_group(self) -> SessionGroup | None:
        with self._looking:
            if not self._looked_for_groups:
                self._groups = find_groups()
                self._looked_for_groups = True
        return self._groups.create(self._group_limits) if self._groups else None

    def _owner_of_streams(self, identity: int | None) -> int | None:
        if self._template.isolation is Isolation.NAMESPACES and os.geteuid() == 0:
            return UNPRIVILEGED_ID
        return identity

    async def _storage(self, number: int) -> tuple[Path, int | None]:
        storage = self._template.scratch / f"session-{number}"
        if self._template.isolation is Isolation.NAMESPACES:
            return storage, None
        identity = None
        if os.geteuid() == 0 and self._template.isolation is not Isolation.UNSAFE_NONE:
            identity = _FIRST_IDENTITY + number % _IDENTITIES
        await anyio.to_thread.run_sync(_make_storage, storage, identity)
        return storage, identity


def _make_storage(storage: Path, identity: int | None) -> None:
    storage.mkdir(mode=0o700)
    if identity is not None:
        os.chown(storage, identity, identity)


def _pipe(ours: ExitStack, theirs: ExitStack, owner: int | None) -> tuple[int, int]:
    """A pipe whose reading end is ours and does not wait, and whose writing end does."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, reader)
    theirs.callback(os.close, writer)
    os.set_blocking(reader, False)
    if owner is not None:
        os.fchown(writer, owner, owner)  # so that the session may open /dev/stdout
    return reader, writer
