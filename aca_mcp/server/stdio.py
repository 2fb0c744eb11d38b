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
from typing import TYPE_CHECKING

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from aca_mcp.server.app import create_server, open_work_dir
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.signals import open_signals

if TYPE_CHECKING:
    from collections.abc import Generator

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from aca_mcp.pool import SessionPool
    from aca_mcp.server.app import ServerOptions
    from aca_mcp.server.python_server import PythonServer
    from aca_mcp.server.sessions.client_sessions import ClientSessions

_logger = logging.getLogger(__name__)

_READ_BYTES = 1 << 16
_STOP_SECONDS = 1.5
"""For ending the sessions; hosts kill a server that takes longer than about two seconds."""

_FLUSH_SECONDS = 0.3
_PIPE_BYTES: int = getattr(select, "PIPE_BUF", 512)
"""What a pipe that is ready takes without waiting. Windows has no such bound, nor its use here."""


async def serve_stdio(pool: SessionPool, options: ServerOptions) -> None:
    """Serve until stdin ends, or SIGTERM or SIGINT arrives. Every session is ended then.

    Args:
        pool: where sessions come from. It stays open.
        options: what the user chose.

    Raises:
        OSError: the work directory cannot be opened.
    """
    with open_work_dir(options) as work_dir:
        async with open_sessions(pool) as sessions:
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
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception]()
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage]()
    async with anyio.create_task_group() as tasks:
        listening, watching = anyio.CancelScope(), anyio.CancelScope()

        async def listen() -> None:
            async with to_server:
                with listening:
                    await _read_messages(stdin, to_server)
                # Before the SDK hears of the end, so that running code ends with its session
                # instead of being interrupted and waited for.
                await sessions.close(within_seconds=_STOP_SECONDS)

        async def watch() -> None:
            with (
                watching,
                open_signals(signal.SIGTERM, signal.SIGINT) as signals,
            ):
                async for _ in signals:
                    listening.cancel()

        tasks.start_soon(listen)
        tasks.start_soon(watch)
        tasks.start_soon(_write_messages, stdout, from_server)
        await server.serve(from_client, to_client)
        watching.cancel()
        # The writer ends by itself, unless the client has stopped reading.
        tasks.cancel_scope.deadline = anyio.current_time() + _FLUSH_SECONDS


async def _read_messages(
    descriptor: int, messages: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    # A file is always ready, as is /dev/null, and the event loop refuses to wait for one.
    mode = os.fstat(descriptor).st_mode
    waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
    unread = bytearray()
    while True:
        if waits:
            await anyio.wait_readable(descriptor)
        data = os.read(descriptor, _READ_BYTES)
        if not data:
            return
        begin = len(unread)
        unread += data
        while (end := unread.find(b"\n", begin)) >= 0:
            line = bytes(unread[:end])
            del unread[: end + 1]
            begin = 0
            message = _parsed(line)
            try:
                messages.send_nowait(message)  # to who waits for it: `send` lets others go first
            except anyio.WouldBlock:
                await messages.send(message)


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


async def _write_messages(
    descriptor: int, messages: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    async with messages:
        async for message in messages:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
            try:
                await _write(descriptor, line + b"\n")
            except OSError:  # the client is gone; the end of stdin says so too
                _logger.debug("stdout is closed; a message was dropped")


async def _write(descriptor: int, data: bytes) -> None:
    # So little at a time never blocks on a pipe that is ready. A thread that blocks, because the
    # client has stopped reading, would keep the process from ending.
    rest = memoryview(data)
    while rest:
        if not select.select((), (descriptor,), (), 0)[1]:
            await anyio.wait_writable(descriptor)
        rest = rest[os.write(descriptor, rest[:_PIPE_BYTES]) :]


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
