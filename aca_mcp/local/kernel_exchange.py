"""One request to a kernel and its reply, with what is printed meanwhile.

Reads whatever comes, whenever it comes, within bounds: neither a flood of output nor a reply that
never ends costs the server more than the bounds say.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from aca_mcp.embedded.replies import INTERFERED
from aca_mcp.kernel.message_framing import (
    MAX_REPLY_HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    encode,
)

if TYPE_CHECKING:
    import select
    from collections.abc import Callable

    from aca_mcp.embedded.request_output import RequestOutput
    from aca_mcp.local.checkpoints import Checkpoints

_READ_BYTES = 256 * 1024
_EVENTS_BYTES = 32 * 1024
_READS_A_TURN = 2
"""Of one stream; then others have a turn, so that a flood does not stop the server. What a pipe
holds may be marks alone, which take the longest to read."""


class KernelDied(Exception):
    """The kernel's process ended, or cannot be trusted any more.

    The text is a clause that says why, or empty where only the process's status can tell.
    """


class Exchange:
    """One request, its reply, and the output in between."""

    def __init__(
        self,
        *,
        events: select.epoll,
        control: socket.socket,
        stdout: int,
        stderr: int,
        output: RequestOutput,
        number: int,
        on_question: Callable[[dict[str, object]], None] | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._on_question = on_question
        # A checkpoint's end of ``control`` was sent by the session, whose code may hold it as well
        # and make it one that waits: so every call on it says that it does not.
        self._checkpoints = checkpoints
        self.output = output
        """What is told and printed, until now."""
        self._events = events
        self._control = control
        self._streams = {stdout: output.stdout, stderr: output.stderr}
        self._number = number
        self._runs_code = False
        self._decoder = FrameDecoder(MAX_REPLY_HEADER_BYTES)

    async def send_and_wait(self, header: dict[str, object], deadline: float) -> Frame | None:
        """Send the request, and wait for its reply until a time of anyio's clock.

        Raises:
            KernelDied: there will be no reply.
        """
        self._runs_code = header.get("op") == "execute"
        rest = memoryview(encode(Frame({**header, "id": self._number})))
        if self._events.poll(0):
            self._read_from_before()
        rest = self._send(rest)
        with anyio.CancelScope(deadline=deadline):
            while rest:
                await anyio.wait_writable(self._control)
                rest = self._send(rest)
            return await self._reply()
        return None

    def _send(self, data: memoryview) -> memoryview:
        """Send as much as goes at once, and return the rest."""
        try:
            return data[self._control.send(data, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            return data
        except OSError:
            self._read_what_is_there()
            raise KernelDied("") from None

    async def wait(self, deadline: float) -> Frame | None:
        """Wait for the reply until a time of anyio's clock; None if it has not come by then.

        Raises:
            KernelDied: there will be no reply.
        """
        with anyio.CancelScope(deadline=deadline):
            return await self._reply()
        return None

    async def _reply(self) -> Frame:
        while True:
            await anyio.wait_readable(self._events.fileno())
            if (reply := self._take_events()) is not None:
                return reply

    def _take_events(self) -> Frame | None:
        """Read what there is, once; the reply if it has come.

        * Output: as much as is one stream's turn; a flood is read on in the next round.
        * Events of the execution: taken into its report. Its last one is the reply.
        * The reply, or an end: what was written before is in the pipes, and is read at once.
        * The connection says nonsense: the pipes are read, and there is no reply.
        * It is closed: the same, once what runs has ended. It may be another program by now, which
          code began in the interpreter's place (``os.execv``), and whose output is the code's.
        * A checkpoint's notice that what ran has ended: the same, and one of them takes its place.
        * The process descriptor: all of the session has ended.

        Raises:
            KernelDied: there will be no reply.
        """
        reply: Frame | None = None
        ended = False
        for descriptor, _ in self._events.poll(0):
            if descriptor in self._streams:
                self._read_turn(descriptor)
            elif descriptor == self._control.fileno():
                try:
                    reply = self._read_control()
                except KernelDied as death:
                    if str(death) or not self._runs_code:
                        self._read_what_is_there()
                        raise
                    self._events.unregister(self._control)
            elif self._checkpoints is not None and descriptor == self._checkpoints.fileno():
                ended = self._checkpoints.take_notices() or ended
            else:
                ended = True
        if reply is not None or ended:
            # What was written before the reply, or before the end, is in the pipes by now.
            self._read_what_is_there()
        if reply is None and ended:
            raise KernelDied("")
        return reply

    def _read_turn(self, descriptor: int) -> None:
        stream = self._streams[descriptor]
        for _ in range(_READS_A_TURN):
            try:
                data = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                # Everything in the session closed it. It would be ready to read for ever.
                self._events.unregister(descriptor)
                return
            stream.take(data)

    def _read_what_is_there(self) -> None:
        """Read what the pipes hold at this moment, and no more: others may go on writing."""
        for descriptor, _ in self._events.poll(0):
            if descriptor not in self._streams:
                continue
            waiting = _bytes_waiting(descriptor)
            # Code can open its end for reading too, and take what was counted here.
            with suppress(BlockingIOError):
                while waiting > 0 and (data := os.read(descriptor, min(waiting, _READ_BYTES))):
                    waiting -= len(data)
                    self._streams[descriptor].take(data)
        self.output.finish()

    def _read_from_before(self) -> None:
        """Take what earlier code has left running, or unread, printed since its own result."""
        for descriptor, stream in self._streams.items():
            if _bytes_waiting(descriptor) > 0:
                self._read_turn(descriptor)
                stream.kept.begin()

    def _read_control(self) -> Frame | None:
        # Events are small, and each takes its time; of a long one the rest is read at once.
        size = min(max(self._decoder.missing, _EVENTS_BYTES), _READ_BYTES)
        try:
            data = self._control.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            data = b""
        if not data:
            # The process is ending, or its code closed the descriptor; its status comes first.
            raise KernelDied("")
        try:
            return self._take_frames(data)
        except FrameError:
            raise KernelDied(INTERFERED) from None

    def _take_frames(self, data: bytes) -> Frame | None:
        """Take events of this execution; its last, or the answer to another request, ends it."""
        reply: Frame | None = None
        for frame in self._decoder.feed(data):
            if "ask" in frame.header and self._on_question is not None:
                self._on_question(dict(frame.header))
                continue
            if reply is not None or frame.header.get("id") != self._number:
                raise FrameError("it is not of this request")
            if self._runs_code:
                self.output.take_event(frame)
            if self.output.report.is_done or not self._runs_code:
                reply = frame
        return reply


def _bytes_waiting(descriptor: int) -> int:
    """How many bytes a pipe holds now."""
    packed = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    return int(struct.unpack("i", packed)[0])
