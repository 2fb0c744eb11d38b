"""How a session's process comes to be: descriptors, a fork in the template, containment."""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.cgroups import GroupLimits, Groups, SessionGroup, find_groups
from aca_mcp.local.kernel_process import KernelProcess
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

    def __init__(self, template: TemplateProcess, group_limits: GroupLimits) -> None:
        self._template = template
        self._group_limits = group_limits
        self._numbers = itertools.count()
        self._groups: Groups | None = None
        self._looked_for_groups = False

    async def spawn(self) -> KernelProcess:
        """Start a session, and return it contained and ready to run code.

        Raises:
            PoolUnavailableError: it could not be started.
        """
        await self._template.wait_ready()
        storage, identity, group = await anyio.to_thread.run_sync(self._place, next(self._numbers))
        control, control_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        stdout, stdout_theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        stderr, stderr_theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        control.setblocking(False)
        theirs = (control_theirs.fileno(), stdout_theirs, stderr_theirs)
        try:
            for descriptor in theirs:
                # Only our ends must not wait; code that prints faster than we read has to.
                os.set_blocking(descriptor, True)
            if identity is not None:
                for descriptor in (stdout_theirs, stderr_theirs):
                    # So that the session may open /dev/stdout.
                    os.fchown(descriptor, identity, identity)
            pid, process = await self._template.fork(str(storage), identity, theirs)
        except BaseException:
            for descriptor in (stdout, stderr):
                os.close(descriptor)
            control.close()
            if group is not None:
                group.remove()
            raise
        finally:
            control_theirs.close()
            os.close(stdout_theirs)
            os.close(stderr_theirs)
        kernel = KernelProcess(self._template, storage, pid, process, group)
        try:
            await kernel.start(control, stdout, stderr)
        except (PoolUnavailableError, TimeoutError) as error:
            await kernel.kill("it could not be started")
            raise PoolUnavailableError(str(error) or "A local session did not start.") from error
        except anyio.get_cancelled_exc_class():
            await kernel.kill("it is not wanted any more")
            raise
        return kernel

    def _place(self, number: int) -> tuple[Path, int | None, SessionGroup | None]:
        if not self._looked_for_groups:
            self._looked_for_groups = True
            self._groups = find_groups()
        group = self._groups.create(self._group_limits) if self._groups else None
        return (*self._storage(number), group)

    def _storage(self, number: int) -> tuple[Path, int | None]:
        storage = self._template.scratch / f"session-{number}"
        if self._template.isolation is Isolation.NAMESPACES:
            return storage, None
        storage.mkdir(mode=0o700)
        if os.geteuid() != 0 or self._template.isolation is Isolation.UNSAFE_NONE:
            return storage, None
        identity = _FIRST_IDENTITY + number % _IDENTITIES
        os.chown(storage, identity, identity)
        return storage, identity
