"""How a session's process comes to be: descriptors, a fork in the template, containment."""

from __future__ import annotations

import functools
import itertools
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.checkpoints import Checkpoints
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.messages import SessionRequest
from aca_mcp.local.template_process import TemplateEndedError
from aca_mcp.sandbox.namespaces import SESSION_ID
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.sandbox.syscalls import words_of

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.local.cgroups import SessionGroup
    from aca_mcp.local.exceeded_limits import Limits
    from aca_mcp.local.identities import Identities
    from aca_mcp.local.session_cgroups import ControlGroups
    from aca_mcp.local.template_process import TemplateProcess
    from aca_mcp.local.template_replacement import Templates


class Spawner:
    """Starts session processes of a pool's template.

    Args:
        templates: has the template.
        identities: users for the sessions, where the server is root.
        groups: for the sessions.
        limits: of one session.
        tasks: groups are found in here.
    """

    def __init__(
        self,
        templates: Templates,
        identities: Identities | None,
        groups: ControlGroups,
        limits: Limits,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._templates = templates
        self._identities = identities
        self._groups = groups
        self._limits = limits
        self._numbers = itertools.count()
        tasks.start_soon(groups.keep)

    async def spawn(self, *, ahead: bool) -> KernelProcess:
        """Start a session, and return it contained and ready to run code.

        Args:
            ahead: nobody waits for it.

        Raises:
            PoolUnavailableError: it could not be started.
        """
        try:
            return await self._spawn_from(await self._templates.ready(), ahead=ahead)
        except TemplateEndedError:
            # No code has run, and another template may do.
            return await self._spawn_from(await self._templates.ready(), ahead=ahead)

    async def _spawn_from(self, template: TemplateProcess, *, ahead: bool) -> KernelProcess:
        try:
            async with self._groups.for_session() as group:
                kernel = await self._fork(template, group, ahead=ahead)
        except OSError as error:
            raise PoolUnavailableError(
                f"A local session could not be started: {words_of(error)}. Stop sessions that are "
                "not needed, and try again."
            ) from error
        try:
            await kernel.start()
        except (PoolUnavailableError, OSError) as error:
            await kernel.kill("it could not be started")
            kind = TemplateEndedError if template.has_ended else PoolUnavailableError
            raise kind(str(error) or "A local session did not start. Try again.") from error
        except anyio.get_cancelled_exc_class():
            await kernel.kill("it is not wanted any more")
            raise
        return kernel

    async def _fork(
        self, template: TemplateProcess, group: SessionGroup | None, *, ahead: bool
    ) -> KernelProcess:
        with ExitStack() as ours, ExitStack() as theirs:
            entrances: list[int] = []
            if group is not None:
                for entrance in group.entrances:
                    entrances.append(os.open(entrance, os.O_WRONLY | os.O_CLOEXEC))
                    theirs.callback(os.close, entrances[-1])
            identity = None
            if self._identities and template.isolation is not Isolation.UNSAFE_NONE:
                identity = self._identities.take()
                ours.callback(self._identities.give_back, identity)
            user = identity and identity.user
            control, control_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            ours.enter_context(control)
            theirs.enter_context(control_theirs)
            stdout, stdout_theirs = _pipe(ours, theirs, user)
            stderr, stderr_theirs = _pipe(ours, theirs, user)
            control.setblocking(False)
            checkpoints, channel = None, list[int]()
            if self._limits.checkpoints:
                keeper, keeper_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.enter_context(keeper)
                channel = [theirs.enter_context(keeper_theirs).fileno()]
                checkpoints = Checkpoints(keeper, self._limits.checkpoints + 1)
            storage = template.scratch / f"session-{next(self._numbers)}"
            becomes = user
            if template.isolation is not Isolation.NAMESPACES:
                await anyio.to_thread.run_sync(_make_storage, storage, user)
            elif identity:
                becomes = SESSION_ID + identity.number
            pid, process = await template.fork(
                SessionRequest(
                    *(str(storage), becomes, ahead, self._groups.one_share_is_kept, bool(channel)),
                    groups=len(entrances),
                ),
                (control_theirs.fileno(), stdout_theirs, stderr_theirs, *channel, *entrances),
            )
            ours.callback(os.close, process)
            kernel = KernelProcess(
                *(template, storage, pid, process, control, stdout, stderr),
                self._limits.memory(),
                checkpoints,
                group,
            )
            ours.pop_all()
        if self._identities and identity:
            kernel.on_freed = functools.partial(self._identities.give_back, identity)
        return kernel


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
