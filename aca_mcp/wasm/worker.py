"""The process of one session: ``python -m aca_mcp.wasm.worker``. Frames in, frames out.

It reads requests from its stdin and writes to its stdout what the instance prints and answers, in
the order in which that happens. The instance sees neither.

``{"op": "start", …}`` comes first and is answered by ``{"ready": true}``. ``execute`` and
``packages`` are the kernel's. ``{"op": "interrupt"}`` and ``{"op": "trap"}`` are heard while code
runs: the first is Ctrl-C, the second stops the instance wherever it is. After that a new instance
goes on from the last checkpoint, if there is one, and the reply says so.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.kernel.frames import (
    MAX_REPLY_HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    encode,
)
from aca_mcp.wasm.cache import Prepared
from aca_mcp.wasm.instance import Exited, Instance, Trapped, load_module, make_engine
from aca_mcp.wasm.interrupting import note_signal
from aca_mcp.wasm.memory import Checkpoint, Image
from aca_mcp.wasm.printing import Printing
from aca_mcp.wasm.second_ring import hold_process

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_BYTES = 256 * 1024
_SESSION = "__import__('aca_mcp.wasm.guest.session', fromlist=['*']).current"
_BEFORE_CHECKPOINT_SECONDS = 0.05
"""After a reply; who sends one request after the other does not wait for checkpoints."""
MAX_CHECKPOINT_BYTES = 512 * 2**20
"""Of an instance's memory; a session that has more begins anew when it has to be stopped."""


@dataclass(slots=True)
class _Turn:
    """One request while it is answered."""

    request: Frame
    reply: Frame | None = None


class Worker:
    """A session's instance, and the connection to the supervisor."""

    def __init__(self, start: Mapping[str, object]) -> None:
        self._prepared = Prepared(
            Path(str(start["module"])), Path(str(start["image"])), str(start["library"])
        )
        self._storage = Path(str(start["storage"]))
        self._memory_bytes = int(str(start["memory_bytes"]))
        self._engine = make_engine()
        self._module = load_module(self._engine, self._prepared.code)
        self._signal_words = self._prepared.signal_words()
        self._image = Image(self._prepared.memory)
        self._checkpoint = Checkpoint(self._image)
        self._checkpoint_is_current = False
        self._sending = threading.Lock()
        self._printing = Printing(self.send)
        self._turn: _Turn | None = None
        self._instance = self._new_instance()
        self._instance.run(f"{_SESSION}.begin()")

    def send(self, frame: Frame) -> None:
        """Write a frame to the supervisor."""
        data = memoryview(encode(frame))
        with self._sending:
            while data:
                data = data[os.write(1, data) :]

    def hear(self, frame: Frame) -> None:
        """Act on what comes while code runs; called by the thread that reads."""
        if self._turn is None:
            return
        if frame.header.get("op") == "interrupt":
            note_signal(self._signal_words, self._instance.address)
        elif frame.header.get("op") == "trap":
            self._instance.trap()

    def answer(self, request: Frame) -> bool:
        """Let the instance answer a request. False if the session is over."""
        number = request.header.get("id")
        turn = self._turn = _Turn(request)
        self._printing.begin()
        try:
            try:
                done = self._instance.run(f"{_SESSION}.serve()")
            finally:
                self._printing.flush()
        except Exited as ending:
            self.send(Frame({"id": number, "exited": str(ending)}))
            return False
        except Trapped as trap:
            self._turn = None
            restored = self._go_back()
            self.send(Frame({"id": number, "trapped": str(trap), "restored": restored}))
            return restored
        finally:
            self._turn = None
            self._checkpoint_is_current = False
        reply = turn.reply
        if not done or reply is None:
            self.send(Frame({"id": number, "interfered": True}))
            return False
        self.send(Frame({**reply.header, "id": number}, reply.blobs))
        return True

    def rest(self) -> None:
        """Use the time in which nobody wants anything to be able to come back to this state."""
        if not self._checkpoint_is_current and self._instance.size <= MAX_CHECKPOINT_BYTES:
            self._checkpoint.take(self._instance)
            self._checkpoint_is_current = True

    def _go_back(self) -> bool:
        if not self._checkpoint_is_current:
            return False
        self._instance.close()
        self._instance = self._new_instance()
        self._checkpoint.put_into(self._instance)
        return self._instance.run(f"{_SESSION}.resume()")

    def _new_instance(self) -> Instance:
        instance = Instance(
            self._engine,
            self._module,
            self._prepared.directories(self._storage),
            memory_bytes=self._memory_bytes,
            on_output=self._print,
            exchange=self._exchange,
        )
        self._image.put_into(instance)
        return instance

    def _print(self, stream: str, data: bytes) -> None:
        if self._turn is not None:
            self._printing.write(stream, data)

    def _exchange(self, said: bytes) -> bytes:
        turn = self._turn
        if turn is None:
            return b""
        if not said:
            return encode(turn.request)
        try:
            frames = list(FrameDecoder(MAX_REPLY_HEADER_BYTES).feed(said))
        except FrameError:
            return b""  # the code may say what it likes
        for frame in frames:
            if "mark" in frame.header:
                return str(self._printing.mark(str(frame.header["mark"]))).encode()
            if frame.header.get("event", "done") == "done":
                turn.reply = frame
            else:
                self._printing.flush()
                self.send(Frame({**frame.header, "id": turn.request.header["id"]}, frame.blobs))
        return b""


def _read(decoder: FrameDecoder) -> list[Frame]:
    """The next frames from the supervisor. Ends the process when that is gone."""
    while data := os.read(0, _READ_BYTES):
        if frames := list(decoder.feed(data)):
            return frames
    os._exit(0)


def _listen(decoder: FrameDecoder, worker: Worker, requests: queue.SimpleQueue[Frame]) -> None:
    while True:
        for frame in _read(decoder):
            if frame.header.get("op") in ("interrupt", "trap"):
                worker.hear(frame)
            else:
                requests.put(frame)


def main() -> int:
    """Serve one session until it is over; returns the process's exit code."""
    decoder = FrameDecoder()
    (start,) = _read(decoder)
    hold_process(start.header)
    worker = Worker(start.header)
    requests = queue.SimpleQueue[Frame]()
    threading.Thread(target=_listen, args=(decoder, worker, requests), daemon=True).start()
    worker.send(Frame({"ready": True}))
    while True:
        try:
            request = requests.get(timeout=_BEFORE_CHECKPOINT_SECONDS)
        except queue.Empty:
            worker.rest()
            request = requests.get()
        if not worker.answer(request):
            return 0


if __name__ == "__main__":
    os._exit(main())  # without waiting for the thread that reads
