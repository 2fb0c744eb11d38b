"""The supervisor's side of one template process: start it, ask it, end it.

The only module of the pool that starts a program. Everything else is a fork made by the template.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import select
import signal
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc

import aca_mcp
from aca_mcp.embedded.replies import parse_package_rows
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.kernel.message_framing import FrameError
from aca_mcp.local.checkpoints import processes_beside
from aca_mcp.local.configuration import SCRATCH_BYTES, LocalPoolConfiguration
from aca_mcp.local.descriptor_passing import SHORTAGE_PAUSE_SECONDS, is_shortage, receive
from aca_mcp.local.template_messages import MAX_PACKET_BYTES, SessionRequest, TemplateConfiguration
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aca_mcp.local.identities import Block
    from aca_mcp.pool import Package

_ANSWER_SECONDS = 60
"""A template answers at once, or after its imports, which a cold disk can make slow."""

_SHORTAGE_SECONDS = 5
"""For which a request is tried again that the kernel had no room for."""

_MAX_STDERR_BYTES = 4096
_READY = 0
"""The number of the first answer, which nobody asks for."""

_NOTHING_SAID = (anyio.EndOfStream, anyio.ClosedResourceError, OSError)

_BOOTSTRAP = """\
import sys
if sys.version_info < (3, 11):
    sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}; sessions need 3.11 or newer")
sys.path.insert(0, %r)
from aca_mcp.local.template_program import main
sys.path.pop(0)
main(%d)
"""


class TemplateEndedError(PoolUnavailableError):
    """The template has ended, and every session that was made from it."""


class TemplateProcess:
    """A running template. Made by ``start_template``.

    Its answers come in the order of the requests, each with the number of its own: one that comes
    after its asker has given up is known by that, and dropped.
    """

    def __init__(self, process: anyio.abc.Process, connection: socket.socket, python: str) -> None:
        self.scratch = Path()
        """The pool's directory, for sessions without namespaces; known as ``isolation`` is."""
        self.isolation: Isolation | None = None
        """What separates sessions; known once ``wait_ready`` has returned."""
        self.runtime = ""
        """Such as ``Python 3.12.7``; known once ``wait_ready`` has returned."""
        self.has_imported = False
        """Whether a session that it forks now has all that sessions are to have."""
        self.answer_seconds: float = _ANSWER_SECONDS
        """How long whoever asks it waits for the answer."""
        self._process = process
        self._connection = connection
        self._python = python
        self._turn = anyio.Lock()
        self._numbers = itertools.count(_READY + 1)
        self._end: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, with every session that was made from it."""
        if self._connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._connection, 0)  # a hang-up is reported all the same
        return bool(poll.poll(0))

    async def wait_ended(self) -> None:
        """Wait until it is gone."""
        await self._process.wait()

    async def wait_ready(self) -> None:
        """Wait until the sandbox is set up and the interpreter made; imports may go on.

        Raises:
            PoolUnavailableError: it could not be. The message says why and what to do.
        """
        if self.isolation is None:
            async with self._turn:
                await self._wait_ready()

    async def _wait_ready(self) -> None:
        if self.isolation is not None:
            return
        answer, _ = await self._answer_to(_READY)
        self.scratch = Path(str(answer["scratch"]))
        self.runtime = str(answer["runtime"])
        self.isolation = Isolation(str(answer["isolation"]))

    async def fork(self, request: SessionRequest, descriptors: Sequence[int]) -> tuple[int, int]:
        """Fork a session.

        Args:
            request: what it is to be.
            descriptors: of its side: control connection, or channel of its keeper, stdout, stderr,
                entrances of control groups.

        Returns:
            Its number as the template knows it, and a pidfd, which is the caller's to close.

        Raises:
            PoolUnavailableError: it could not be made.
        """
        answer, received = await self._ask(request.to_message(), descriptors)
        if "failed" in answer or len(received) != 1:
            await self._drop(answer, received)
            why = answer.get("failed", os.strerror(errno.EMFILE))
            raise PoolUnavailableError(
                f"A local session could not be started: {why}. Try again when other programs have "
                "ended, or stop sessions that are not needed."
            )
        self.has_imported = answer["imported"] is True
        return cast("int", answer["pid"]), received[0]

    async def reap(self, pid: int) -> int:
        """Let a session's number go after its end; its exit code, or minus the signal's number.

        Raises:
            PoolUnavailableError: the template is gone.
        """
        self.answer_now()
        answer, _ = await self._ask({"op": "reap", "pid": pid})
        return cast("int", answer["status"])

    async def let_go(self, pid: int) -> None:
        """The same where nobody asks how it ended: the template does it when it comes to that.

        Raises:
            PoolUnavailableError: the template is gone.
        """
        await self._send({"op": "reap", "pid": pid}, ())

    async def packages(self) -> tuple[Package, ...]:
        """What sessions can import.

        Raises:
            PoolUnavailableError: the template is gone, or its answer makes no sense.
        """
        answer, _ = await self._ask({"op": "packages"})
        try:
            return parse_package_rows(answer.get("packages"))
        except FrameError as error:
            raise PoolUnavailableError(f"The local pool cannot list packages: {error}.") from error

    def answer_now(self) -> None:
        """Have it answer now rather than after its imports."""
        try:
            self._connection.send(b'{"op": "answer_now"}')
        except OSError:
            return  # whoever waits for the answer hears of it

    async def close(self) -> None:
        """End it, and every session that was made from it. Again does no harm."""
        # The outer process of the template ends all the others when this closes.
        self._connection.close()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(2):
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                with anyio.move_on_after(2):
                    await self._process.wait()
            await self._process.aclose()

    async def _ask(
        self, request: Mapping[str, object], descriptors: Sequence[int] = ()
    ) -> tuple[dict[str, object], list[int]]:
        async with self._turn:
            await self._wait_ready()
            number = next(self._numbers)
            await self._send({**request, "id": number}, descriptors)
            return await self._answer_to(number)

    async def _send(self, request: Mapping[str, object], descriptors: Sequence[int]) -> None:
        packet = json.dumps(request).encode()
        end = anyio.current_time() + _SHORTAGE_SECONDS
        while True:
            try:
                socket.send_fds(self._connection, [packet], descriptors)
            except OSError as error:
                if not is_shortage(error):
                    raise await self._ended() from None
                if anyio.current_time() > end:
                    raise PoolUnavailableError(
                        f"The local pool cannot reach its template process: {error.strerror}. "
                        "Programs of this user keep that busy; try again when they have ended."
                    ) from error
                await anyio.sleep(SHORTAGE_PAUSE_SECONDS)
            else:
                return

    async def _answer_to(self, number: int) -> tuple[dict[str, object], list[int]]:
        """The answer with a number. Those before it, whose askers gave up, are dropped."""
        with anyio.move_on_after(self.answer_seconds):
            while True:
                answer, descriptors = await self._receive()
                if answer.get("id", _READY) == number:
                    return answer, descriptors
                if self.isolation is None:
                    raise PoolUnavailableError("The template process did not begin as it should.")
                await self._drop(answer, descriptors)
        raise PoolUnavailableError(
            "The template process of local sessions did not answer within "
            f"{self.answer_seconds:g} seconds: the machine is very busy, or was asleep. Nothing "
            "was executed; try again."
        )

    async def _receive(self) -> tuple[dict[str, object], list[int]]:
        if self._end is not None:
            raise TemplateEndedError(self._end)
        await anyio.wait_readable(self._connection)
        try:
            packet, descriptors = receive(self._connection, MAX_PACKET_BYTES, 1)
        except ConnectionResetError:
            # It ended with something unread, which is told first: what it said comes now.
            packet, descriptors = receive(self._connection, MAX_PACKET_BYTES, 1)
        if not packet:
            raise await self._ended()
        answer: dict[str, object] = json.loads(packet)
        if "refused" in answer:
            self._end = str(answer["refused"])
            raise TemplateEndedError(self._end)
        return answer, descriptors

    async def _drop(self, answer: Mapping[str, object], descriptors: Sequence[int]) -> None:
        """End what an answer tells of that nobody waits for: a session that was forked."""
        for descriptor in descriptors:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        if descriptors and "pid" in answer:
            await self.let_go(cast("int", answer["pid"]))

    async def _ended(self) -> TemplateEndedError:
        if self._end is None:
            said = b""
            with anyio.move_on_after(1, shield=True), suppress(*_NOTHING_SAID):
                if self._process.stderr is not None:
                    said = await self._process.stderr.receive(_MAX_STDERR_BYTES)
            lines = said.decode("utf-8", "replace").strip().splitlines()
            last = lines[-1] if lines else "it ended without a word"
            lost = "its sessions are lost" if self.isolation else "no session was started"
            self._end = (
                f"The template process of local sessions ({self._python}) is gone: {last}; {lost}. "
                "The next call starts another."
            )
        return TemplateEndedError(self._end)


async def start_template(
    configuration: LocalPoolConfiguration, users: Block | None
) -> TemplateProcess:
    """Start a template, to be closed by the caller. Does not wait until it is ready.

    Args:
        configuration: of the pool.
        users: that it and its sessions are, where the server is root.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as error:
        raise _cannot_be_started(configuration.python, error) from error
    try:
        with theirs:
            process = await _start(configuration.python, theirs.fileno())
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    with suppress(OSError):  # it is gone already, as whoever asks first will hear
        ours.send(_configuration_of(configuration, users).to_packet())
    return TemplateProcess(process, ours, configuration.python)


async def _start(python: str, descriptor: int) -> anyio.abc.Process:
    root = str(Path(aca_mcp.__file__).parents[1])
    try:
        return await anyio.open_process(
            [python, "-I", "-c", _BOOTSTRAP % (root, descriptor)],
            stdin=-3,  # /dev/null
            stdout=-3,
            pass_fds=[descriptor],
            env=_environment(python),
            start_new_session=True,  # a terminal's Ctrl-C is the server's, not its sessions'
        )
    except OSError as error:
        raise _cannot_be_started(python, error) from error


def _cannot_be_started(python: str, error: OSError) -> PoolUnavailableError:
    return PoolUnavailableError(
        f"The interpreter of local sessions, {python}, cannot be started: {error.strerror}. "
        "Set ACA_MCP_LOCAL_PYTHON to a Python 3.11 or newer that has IPython."
    )


def _environment(python: str) -> dict[str, str]:
    """The whole environment of a session: nothing of the server's comes through."""
    return {
        "PATH": os.pathsep.join((str(Path(python).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        # Large memory in large pages, as NumPy has it: a copy of the process then costs what it
        # should, with a gigabyte in it, too. For glibc 2.35 and newer (mallopt(3) has none for it).
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }


def _configuration_of(
    configuration: LocalPoolConfiguration, users: Block | None
) -> TemplateConfiguration:
    policy = SandboxPolicy(
        isolation=Isolation.NAMESPACES,
        network=configuration.network,
        memory_bytes=configuration.memory_bytes,
        disk_bytes=configuration.disk_bytes,
        scratch_bytes=SCRATCH_BYTES,
        max_tasks=configuration.max_processes
        + configuration.max_threads
        + processes_beside(configuration.checkpoints),
        readable=(configuration.package_sets,) if configuration.package_sets else (),
        users=(users.first, users.size) if users else None,
    )
    return TemplateConfiguration(
        configuration.isolation, policy, configuration.preimport, tempfile.gettempdir()
    )
