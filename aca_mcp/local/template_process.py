"""The supervisor's side of the template process: start it, ask it, end it.

The only module of the pool that starts a program. Everything else is a fork made by the template.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc

import aca_mcp
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.kernel.frames import FrameError
from aca_mcp.local.configuration import SCRATCH_BYTES, LocalPoolConfiguration
from aca_mcp.local.messages import MAX_PACKET_BYTES, SessionRequest, TemplateConfiguration
from aca_mcp.local.passing import receive
from aca_mcp.local.replies import parse_package_rows
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from aca_mcp.pool import Package

_ANSWER_SECONDS = 60
"""A template answers at once, or after its imports, which a cold disk can make slow."""

_MAX_STDERR_BYTES = 4096

_BOOTSTRAP = """\
import sys
if sys.version_info < (3, 11):
    sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}; sessions need 3.11 or newer")
sys.path.insert(0, %r)
from aca_mcp.local.template import main
sys.path.pop(0)
main(%d)
"""


class TemplateProcess:
    """A running template. Made by ``open_template``."""

    def __init__(self, process: anyio.abc.Process, connection: socket.socket, python: str) -> None:
        self.scratch = Path()
        """The pool's directory, for sessions without namespaces; known as ``isolation`` is."""
        self._process = process
        self._connection = connection
        self._python = python
        self._turn = anyio.Lock()
        self._failure: str | None = None
        self.isolation: Isolation | None = None
        """What separates sessions; known once ``wait_ready`` has returned."""
        self.runtime = ""
        """Such as ``Python 3.12.7``; known once ``wait_ready`` has returned."""

    async def wait_ready(self) -> None:
        """Wait until the sandbox is set up and the interpreter made; imports may go on.

        Raises:
            PoolUnavailableError: it could not be. The message says why and what to do.
        """
        async with self._turn:
            await self._wait_ready()

    async def _wait_ready(self) -> None:
        if self.isolation is not None:
            return
        answer, _ = await self._receive()
        self.isolation = Isolation(str(answer["isolation"]))
        self.runtime = str(answer["runtime"])
        self.scratch = Path(str(answer["scratch"]))

    async def fork(self, request: SessionRequest, descriptors: Sequence[int]) -> tuple[int, int]:
        """Fork a session.

        Args:
            request: what it is to be.
            descriptors: control connection, stdout and stderr, of its side.

        Returns:
            Its number as the template knows it, and a pidfd, which is the caller's to close.

        Raises:
            PoolUnavailableError: it could not be made.
        """
        answer, received = await self._ask(request.to_message(), descriptors)
        if "failed" in answer or len(received) != 1:
            raise PoolUnavailableError(
                f"A local session could not be started: {answer.get('failed')}. Try again when "
                "other programs have ended, or stop sessions that are not needed."
            )
        return cast("int", answer["pid"]), received[0]

    async def reap(self, pid: int) -> int:
        """Let a session's number go after its end; its exit code, or minus the signal's number.

        Raises:
            PoolUnavailableError: the template is gone.
        """
        answer, _ = await self._ask({"op": "reap", "pid": pid})
        return cast("int", answer["status"])

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

    def hurry(self) -> None:
        """Have it answer now rather than after its imports."""
        try:
            self._connection.send(b'{"op": "hurry"}')
        except OSError:
            return  # whoever waits for the answer hears of it

    async def _ask(
        self, request: Mapping[str, object], descriptors: Sequence[int] = ()
    ) -> tuple[dict[str, object], list[int]]:
        # A question whose asker is cancelled still has its answer taken, or the next asker would
        # be given it. The wait is bounded.
        answer: tuple[dict[str, object], list[int]] = ({}, [])
        async with self._turn:
            with anyio.CancelScope(shield=True):
                await self._wait_ready()
                await self._send(request, descriptors)
                answer = await self._receive()
        return answer

    async def _send(self, request: Mapping[str, object], descriptors: Sequence[int]) -> None:
        try:
            await anyio.wait_writable(self._connection)
            socket.send_fds(self._connection, [json.dumps(request).encode()], descriptors)
        except OSError:
            raise await self._gone() from None

    async def _receive(self) -> tuple[dict[str, object], list[int]]:
        if self._failure is not None:
            raise PoolUnavailableError(self._failure)
        packet: bytes = b""
        descriptors: list[int] = []
        with anyio.move_on_after(_ANSWER_SECONDS):
            await anyio.wait_readable(self._connection)
            try:
                packet, descriptors = receive(self._connection, MAX_PACKET_BYTES, 1)
            except ConnectionResetError:
                # It ended with something unread, which is told first: what it said comes now.
                packet, descriptors = receive(self._connection, MAX_PACKET_BYTES, 1)
        if not packet:
            raise await self._gone()
        answer: dict[str, object] = json.loads(packet)
        if "refused" in answer:
            self._failure = str(answer["refused"])
            raise PoolUnavailableError(self._failure)
        return answer, descriptors

    async def _gone(self) -> PoolUnavailableError:
        said = b""
        with anyio.move_on_after(1, shield=True), suppress(anyio.EndOfStream):
            if self._process.stderr is not None:
                said = await self._process.stderr.receive(_MAX_STDERR_BYTES)
        lines = said.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "it ended without a word"
        self._failure = (
            f"The template process of local sessions ({self._python}) is gone: {last}. Every "
            "session is lost; restart the server."
        )
        return PoolUnavailableError(self._failure)


@asynccontextmanager
async def open_template(configuration: LocalPoolConfiguration) -> AsyncGenerator[TemplateProcess]:
    """Start a template, and end it with every session at the end. Does not wait for it.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with ours:
        with theirs:
            process = await _start(configuration.python, theirs.fileno())
        try:
            with suppress(OSError):  # it is gone already, as whoever asks first will hear
                ours.send(_configuration_of(configuration).to_packet())
            yield TemplateProcess(process, ours, configuration.python)
        finally:
            # The outer process of the template ends all the others when this closes.
            ours.close()
            with anyio.CancelScope(shield=True):
                await _wait_or_kill(process)


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
        raise PoolUnavailableError(
            f"The interpreter of local sessions, {python}, cannot be started: {error.strerror}. "
            "Set ACA_MCP_LOCAL_PYTHON to a Python 3.11 or newer that has IPython."
        ) from error


def _environment(python: str) -> dict[str, str]:
    """The whole environment of a session: nothing of the server's comes through."""
    return {
        "PATH": os.pathsep.join((str(Path(python).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def _configuration_of(configuration: LocalPoolConfiguration) -> TemplateConfiguration:
    policy = SandboxPolicy(
        isolation=Isolation.NAMESPACES,
        network=configuration.network,
        memory_bytes=configuration.memory_bytes,
        disk_bytes=configuration.disk_bytes,
        scratch_bytes=SCRATCH_BYTES,
        max_processes=configuration.max_processes,
        readable=(),
    )
    return TemplateConfiguration(
        configuration.isolation, policy, configuration.preimport, tempfile.gettempdir()
    )


async def _wait_or_kill(process: anyio.abc.Process) -> None:
    with anyio.move_on_after(2):
        await process.wait()
    if process.returncode is None:
        process.kill()
        with anyio.move_on_after(2):
            await process.wait()
    await process.aclose()
