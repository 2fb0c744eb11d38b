"""Serves one client over stdin and stdout, and ends when it leaves or the process is told to.

The SDK reads stdin in a thread that cannot be stopped, so a signal could only be answered by
killing the process without closing the pool, and each message would cost three changes of thread.
Here the event loop waits for the descriptors themselves. As in the SDK, descriptors 0 and 1 belong
to nobody while the server runs: whatever else reads or prints does not reach the protocol.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from aca_mcp.server.app import create_server, open_work_dir
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.signals import open_signals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from aca_mcp.pool import SessionPool
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.server.python_server import PythonServer
    from aca_mcp.server.sessions.client_sessions import ClientSessions
    from aca_mcp.server.sessions.limits import Limits

_logger = logging.getLogger(__name__)

_READ_BYTES = 1 << 16
_STOP_SECONDS = 1.5
"""For ending the sessions; hosts kill a server that takes longer than about two seconds."""

_FLUSH_SECONDS = 0.3
_PIPE_BYTES: int = getattr(select, "PIPE_BUF", 512)
"""What a pipe that is ready takes without waiting. Windows has no such bound, nor its use here."""


async def serve_stdio(
    pool: SessionPool, options: ServerOptions, limits: Limits | None = None
) -> None:
    """Serve until stdin ends, or SIGTERM or SIGINT arrives. Every session is ended then.

    Args:
        pool: where sessions come from. It stays open.
        options: what the user chose.
        limits: of sessions and of what is kept of them.

    Raises:
        OSError: the work directory cannot be opened.
    """
    with open_work_dir(options) as work_dir:
        async with open_sessions(pool, limits=limits) as sessions:
            server = create_server(Callers(sessions), options, work_dir=work_dir)
            await _serve_process(server, sessions)


async def _serve_process(server: PythonServer, sessions: ClientSessions) -> None:
    if sys.platform == "win32":  # pragma: no cover -- its event loop cannot wait for pipes
        await server.run_stdio_async()
        return
    with (
        _claimed(0, os.open(os.devnull, os.O_RDONLY)) as stdin,
        _claimed(1, os.dup(2)) as stdout,
    ):
        await _serve(server, sessions, stdin, stdout)


async def _serve(server: PythonServer, sessions: ClientSessions, stdin: int, stdout: int) -> None:
    # Before the SDK hears of the end, so that running code ends with its session instead of being
    # interrupted and waited for.
    messages = _Messages(stdin, at_end=partial(sessions.close, within_seconds=_STOP_SECONDS))
    answers = _Answers(stdout)
    async with anyio.create_task_group() as tasks:
        watching = anyio.CancelScope()

        async def watch() -> None:
            with (
                watching,
                open_signals(signal.SIGTERM, signal.SIGINT) as signals,
            ):
                async for _ in signals:
                    messages.end()

        tasks.start_soon(watch)
        tasks.start_soon(answers.write)
        await server.serve(messages, answers)
        watching.cancel()
        # The writer ends by itself, unless the client has stopped reading.
        tasks.cancel_scope.deadline = anyio.current_time() + _FLUSH_SECONDS


class _Messages(ObjectReceiveStream[SessionMessage | Exception]):
    """What the client sends, a line each.

    Args:
        descriptor: to read from.
        at_end: called before the end is told.
    """

    def __init__(self, descriptor: int, at_end: Callable[[], Awaitable[None]]) -> None:
        self._descriptor = descriptor
        self._at_end = at_end
        # A file is always ready, as is /dev/null, and the event loop refuses to wait for one.
        mode = os.fstat(descriptor).st_mode
        self._waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
        self._unread = bytearray()
        self._ended = False

    async def receive(self) -> SessionMessage | Exception:
        """Give the next message, or what is wrong with it."""
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if not (data := await self._read()):
                await self._at_end()
                raise anyio.EndOfStream
            self._unread += data
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return _parsed(line)

    async def _read(self) -> bytes:
        if self._waits and not self._ended:
            with contextlib.suppress(anyio.ClosedResourceError):
                await anyio.wait_readable(self._descriptor)
        return b"" if self._ended else os.read(self._descriptor, _READ_BYTES)

    def end(self) -> None:
        """Read no more, as if stdin had ended."""
        self._ended = True
        anyio.notify_closing(self._descriptor)

    async def aclose(self) -> None:
        """Leave the descriptor to its owner."""


class _Answers(ObjectSendStream[SessionMessage]):
    """Writes messages to the client, a line each.

    Whoever sends one writes as much of it as goes at once. What does not is written by a task of
    its own, so that nobody who is cancelled leaves half a line.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines, self._unwritten = anyio.create_memory_object_stream[memoryview]()

    async def send(self, item: SessionMessage) -> None:
        """Write it, or hand it to who does, once that has written all before it."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        line = memoryview(text.encode() + b"\n")
        if not self._unwritten.statistics().tasks_waiting_receive:
            await self._lines.send(line)
        elif rest := self._write_at_once(line):
            self._lines.send_nowait(rest)

    async def write(self) -> None:
        """Write what did not go at once, until no more is sent."""
        async with self._unwritten:
            async for line in self._unwritten:
                rest = line
                while rest:
                    await anyio.wait_writable(self._descriptor)
                    rest = self._write_at_once(rest)

    def _write_at_once(self, data: memoryview) -> memoryview:
        """Write what does not block, and return the rest."""
        # A thread that blocks, because the client has stopped reading, would keep the process from
        # ending. So little at a time never blocks on a pipe that is ready.
        try:
            while data and select.select((), (self._descriptor,), (), 0)[1]:
                data = data[os.write(self._descriptor, data[:_PIPE_BYTES]) :]
        except OSError:  # the client is gone; the end of stdin says so too
            _logger.debug("stdout is closed; a message was dropped")
            return data[:0]
        return data

    async def aclose(self) -> None:
        """Send no more."""
        self._lines.close()


def _parsed(line: bytes) -> SessionMessage | Exception:
    validate = jsonrpc_message_adapter.validate_json
    try:
        return SessionMessage(validate(line, by_name=False))
    except ValueError as error:
        first = error
    try:
        # Half of a character, as models leave it where they are cut off, is legal in JSON but no
        # text. The request would never be answered for it.
        whole = json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace")
        return SessionMessage(validate(whole, by_name=False))
    except (ValueError, RecursionError):
        return first  # the SDK ignores it


@contextlib.contextmanager
def _claimed(descriptor: int, instead: int) -> Generator[int]:
    """The stream that a standard descriptor carries, which meanwhile is ``instead``."""
    private = os.dup(descriptor)
    os.dup2(instead, descriptor)
    os.close(instead)
    try:
        yield private
    finally:
        os.dup2(private, descriptor)
        os.close(private)
