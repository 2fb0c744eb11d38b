"""One request to a kernel and its reply, with what is printed meanwhile.

Reads whatever comes, whenever it comes, within bounds: neither a flood of output nor a reply that
never ends costs the server more than the bounds say.
"""

from __future__ import annotations

import codecs
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import anyio

from aca_mcp.kernel.frames import Frame, FrameDecoder, FrameError, encode
from aca_mcp.local.descriptors import bytes_waiting
from aca_mcp.local.output import BoundedOutput
from aca_mcp.local.replies import INTERFERED
from aca_mcp.pool import OutputCallback, OutputChunk

if TYPE_CHECKING:
    import select
    import socket

_UTF8 = codecs.getincrementaldecoder("utf-8")
_READ_BYTES = 256 * 1024
_READS_A_TURN = 8
"""Of one stream; then others have a turn, so that a flood does not stop the server."""


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
        number: int,
        max_output_bytes: int,
        on_output: OutputCallback | None,
    ) -> None:
        self.stdout = BoundedOutput(max_output_bytes)
        self.stderr = BoundedOutput(max_output_bytes)
        self._events = events
        self._control = control
        self._streams = {
            stdout: _Stream("stdout", self.stdout, on_output),
            stderr: _Stream("stderr", self.stderr, on_output),
        }
        self._number = number
        self._decoder = FrameDecoder()

    async def send_and_wait(self, header: dict[str, object], deadline: float) -> Frame | None:
        """Send the request, and wait for its reply until a time of anyio's clock.

        Raises:
            KernelDied: there will be no reply.
        """
        rest = memoryview(encode(Frame({**header, "id": self._number})))
        with anyio.CancelScope(deadline=deadline):
            while rest:
                try:
                    rest = rest[self._control.send(rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._control)
                except OSError:
                    self._read_what_is_there()
                    raise KernelDied("") from None
            return await self._reply()
        return None

    async def wait(self, deadline: float) -> Frame | None:
        """Wait for the reply until a time of anyio's clock; None if it has not come by then.

        Raises:
            KernelDied: there will be no reply.
        """
        with anyio.CancelScope(deadline=deadline):
            return await self._reply()
        return None

    async def _reply(self) -> Frame:
        # Looked for before it is waited for: the kernel often runs first, and has answered by now.
        while (reply := self._take_events()) is None:
            await anyio.wait_readable(self._events.fileno())
        return reply

    def _take_events(self) -> Frame | None:
        reply: Frame | None = None
        ended = False
        for descriptor, _ in self._events.poll(0):
            if descriptor in self._streams:
                self._read_turn(descriptor)
            elif descriptor == self._control.fileno():
                try:
                    reply = self._read_control()
                except KernelDied:
                    self._read_what_is_there()
                    raise
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
        for descriptor, stream in self._streams.items():
            waiting = bytes_waiting(descriptor)
            # Code can open its end for reading too, and take what was counted here.
            with suppress(BlockingIOError):
                while waiting > 0 and (data := os.read(descriptor, min(waiting, _READ_BYTES))):
                    waiting -= len(data)
                    stream.take(data)
            stream.finish()

    def _read_control(self) -> Frame | None:
        try:
            data = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            data = b""
        if not data:
            # The process is ending, or its code closed the descriptor; its status comes first.
            raise KernelDied("")
        try:
            frames = list(self._decoder.feed(data))
        except FrameError:
            raise KernelDied(INTERFERED) from None
        if len(frames) > 1 or (frames and frames[0].header.get("id") != self._number):
            raise KernelDied(INTERFERED)
        return frames[0] if frames else None


class _Stream:
    def __init__(
        self,
        name: Literal["stdout", "stderr"],
        kept: BoundedOutput,
        on_output: OutputCallback | None,
    ) -> None:
        self._name: Literal["stdout", "stderr"] = name
        self._kept = kept
        self._on_output = on_output
        self._decoder = _UTF8("replace")

    def take(self, data: bytes) -> None:
        self._kept.write(data)
        if self._on_output is not None and (text := self._decoder.decode(data)):
            self._on_output(OutputChunk(self._name, text))

    def finish(self) -> None:
        if self._on_output is not None and (text := self._decoder.decode(b"", final=True)):
            self._on_output(OutputChunk(self._name, text))
