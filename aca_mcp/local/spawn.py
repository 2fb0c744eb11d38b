"""How a session's process comes to be: descriptors, a fork in the template, containment."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread

from aca_mcp.background_tasks import guarded, repeated
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.checkpoints import Checkpoints
from aca_mcp.local.contained_process import ContainedProcess
from aca_mcp.local.kernel_process import KernelProcess
from aca_mcp.local.template_messages import SessionRequest
from aca_mcp.local.template_process import TemplateEndedError
from aca_mcp.sandbox.namespaces import SESSION_ID
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.sandbox.syscalls import words_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from aca_mcp.local.cgroups import SessionGroup
    from aca_mcp.local.exceeded_limits import Limits
    from aca_mcp.local.identities import Identities
    from aca_mcp.local.session_cgroups import ControlGroups
    from aca_mcp.local.template_process import TemplateProcess
    from aca_mcp.local.template_replacement import Templates


_AFTER_START_SECONDS = 0.1
"""After the start of a session, whose beginning what is made ahead should not make slower."""


class Spawner:
    """Starts session processes of a pool's template.

    Where sessions have a keeper, the next one's is forked and contained when nobody waits: it has
    hardly any memory of its own, and takes most of the time of a start.

    Args:
        templates: has the template.
        identities: users for the sessions, where the server is root.
        groups: for the sessions.
        limits: of one session.
        tasks: processes are made ahead in here.
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
        self._tasks = tasks
        self._numbers = itertools.count()
        self._template: TemplateProcess | None = None
        """Which the last session was forked from."""
        self._ahead: ContainedProcess | None = None
        """One that no session has yet."""
        self._started = anyio.Event()
        tasks.start_soon(groups.keep)
        if limits.checkpoints:
            tasks.start_soon(self._keep_one_ahead)

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
        self._template = template
        try:
            with _told_in_a_sentence(template):
                contained = self._take(template) or await self._contain(template)
                return await self._start_in(contained, ahead=ahead)
        finally:
            self._started.set()

    async def _start_in(self, contained: ContainedProcess, *, ahead: bool) -> KernelProcess:
        async with _ended_on_failure(contained):
            kept = self._limits.checkpoints
            checkpoints = Checkpoints(contained.connection, kept + 1) if kept else None
            kernel = KernelProcess(contained, self._limits.memory(), checkpoints)
        try:
            await kernel.start(ahead=ahead)
        except BaseException:
            await kernel.kill("it was not started")
            raise
        return kernel

    def _take(self, template: TemplateProcess) -> ContainedProcess | None:
        contained, self._ahead = self._ahead, None
        if contained is None or (contained.template is template and not contained.has_ended):
            return contained
        self._tasks.start_soon(guarded, contained.end)
        return None

    async def _keep_one_ahead(self) -> None:
        try:
            await repeated(self._contain_ahead)
        finally:
            if self._ahead is not None:
                with anyio.CancelScope(shield=True):
                    await guarded(self._ahead.end)

    async def _contain_ahead(self) -> None:
        await self._started.wait()
        self._started = anyio.Event()
        await anyio.sleep(_AFTER_START_SECONDS)
        template = self._template
        # One that was forked earlier would lack what is imported until then.
        if template is not None and template.has_imported and self._ahead is None:
            with suppress(PoolUnavailableError), _told_in_a_sentence(template):
                self._ahead = await self._contain(template)

    async def _contain(self, template: TemplateProcess) -> ContainedProcess:
        async with self._groups.for_session() as group:
            contained = await self._fork(template, group)
        async with _ended_on_failure(contained):
            await contained.wait_contained()
        return contained

    async def _fork(
        self, template: TemplateProcess, group: SessionGroup | None
    ) -> ContainedProcess:
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
            has_keeper = self._limits.checkpoints > 0
            kind = socket.SOCK_SEQPACKET if has_keeper else socket.SOCK_STREAM
            connection, connection_theirs = socket.socketpair(socket.AF_UNIX, kind)
            ours.enter_context(connection)
            theirs.enter_context(connection_theirs)
            stdout, stdout_theirs = _pipe(ours, theirs, user)
            stderr, stderr_theirs = _pipe(ours, theirs, user)
            connection.setblocking(False)
            storage = template.scratch / f"session-{next(self._numbers)}"
            becomes = user
            if template.isolation is not Isolation.NAMESPACES:
                await anyio.to_thread.run_sync(_make_storage, storage, user)
            elif identity:
                becomes = SESSION_ID + identity.number
            pid, process = await template.fork(
                SessionRequest(
                    *(str(storage), becomes, self._groups.one_share_is_kept, has_keeper),
                    groups=len(entrances),
                ),
                (connection_theirs.fileno(), stdout_theirs, stderr_theirs, *entrances),
            )
            ours.callback(os.close, process)
            held = template, storage, pid, process, connection, stdout, stderr, group
            contained = ContainedProcess(*held)
            contained.closes(ours.pop_all())
        return contained


@asynccontextmanager
async def _ended_on_failure(contained: ContainedProcess) -> AsyncGenerator[None]:
    try:
        yield
    except BaseException:
        with anyio.CancelScope(shield=True):
            await contained.end()
        raise


@contextmanager
def _told_in_a_sentence(template: TemplateProcess) -> Generator[None]:
    """Have whoever waits for a session told why there is none, by a ``PoolUnavailableError``."""
    try:
        yield
    except (PoolUnavailableError, OSError) as error:
        why = str(error)
        if isinstance(error, TimeoutError):
            why = "A local session did not start in time: the machine is very busy. Try again."
        elif isinstance(error, OSError):
            why = (
                f"A local session could not be started: {words_of(error)}. Stop sessions that are "
                "not needed, and try again."
            )
        raise (TemplateEndedError if template.has_ended else PoolUnavailableError)(why) from error


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
