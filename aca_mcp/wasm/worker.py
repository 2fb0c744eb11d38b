"""The process of one session: ``python -m aca_mcp.wasm.worker``. Frames in, frames out.

It reads requests from its stdin and writes to its stdout what the instance prints and answers, in
the order in which that happens. The instance sees neither.

``{"op": "start", …}`` comes first and is answered by ``{"ready": true}``. ``execute``, ``packages``
and ``add`` are the kernel's; ``undo`` goes back to before the last execution. While code runs,
``{"op": "interrupt"}``, which is Ctrl-C, ``{"op": "trap"}``, which stops the instance wherever it
is, and ``{"op": "answer", …}`` to what it asked are heard. When an instance has ended, for whatever
reason, a new one goes on from the last checkpoint, if there is one, and the reply says so.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.kernel.message_framing import (
    MAX_REPLY_HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    encode,
)
from aca_mcp.wasm.cache import Prepared
from aca_mcp.wasm.checkpoints import Checkpoints
from aca_mcp.wasm.instance import Exited, Instance, Trapped, load_module, make_engine
from aca_mcp.wasm.instance_output import Printing
from aca_mcp.wasm.interrupting import note_signal
from aca_mcp.wasm.memory import Image
from aca_mcp.wasm.second_ring import hold_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READ_BYTES = 256 * 1024
_SESSION = "__import__('aca_mcp.wasm.guest.session', fromlist=['*']).current"
_BEFORE_CHECKPOINT_SECONDS = 0.05
"""After a reply; who sends one request after the other does not wait for checkpoints."""
_ANSWER_SECONDS = 600


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
        self._checkpoints = Checkpoints(self._image, int(str(start["checkpoints"])))
        self._last_request = 0
        self._answers = queue.SimpleQueue[Frame | None]()
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
        if frame.header.get("op") == "answer":
            self._answers.put(frame)
            return
        if frame.header.get("op") == "interrupt":
            note_signal(self._signal_words, self._instance.address)
        elif frame.header.get("op") == "trap":
            self._instance.trap()
        self._answers.put(None)  # code that waits for one is to stop, too

    def answer(self, request: Frame) -> bool:
        """Answer a request. False if the session is over."""
        number = self._last_request = int(str(request.header["id"]))
        if request.header.get("op") == "undo":
            self._checkpoints.drop_those_since_the_last_execution()
            went = self._go_back()
            self.send(Frame({"id": number, **went}))
            # With no checkpoint nothing was changed.
            return bool(went["restored"]) or self._checkpoints.newest() is None
        ended = self._run(request)
        if request.header.get("op") == "execute":
            self._checkpoints.executed(number, str(request.header["code"]))
        if ended is None:
            return True
        went = self._go_back()
        self.send(Frame({"id": number, **ended, **went}))
        return bool(went["restored"])

    def _run(self, request: Frame) -> dict[str, object] | None:
        """Let the instance answer. What ended it, if it has ended."""
        turn = self._turn = _Turn(request)
        self._printing.begin()
        try:
            try:
                done = self._instance.run(f"{_SESSION}.serve()")
            finally:
                self._printing.flush()
        except Exited as ending:
            return {"exited": str(ending)}
        except Trapped as trap:
            return {"trapped": str(trap)}
        finally:
            self._turn = None
        if not done or turn.reply is None:
            return {"interfered": True}
        header = {
            **turn.reply.header,
            "id": request.header["id"],
            "checkpoints": len(self._checkpoints),
        }
        self.send(Frame(header, turn.reply.blobs))
        return None

    def rest(self, is_wanted: Callable[[], bool]) -> None:
        """Use the time in which nobody wants anything to be able to come back to this state."""
        self._checkpoints.take(self._instance, self._last_request, is_wanted)

    def _go_back(self) -> dict[str, object]:
        """Go on from the newest checkpoint, if there is one. What a reply says of that."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return {"restored": False, "why": self._checkpoints.why_none}
        self._instance.close()
        self._instance = self._new_instance()
        checkpoint.put_into(self._instance)
        try:
            restored = self._instance.run(f"{_SESSION}.resume()")
            if checkpoint.after == 0:
                restored = restored and self._instance.run(f"{_SESSION}.begin()")
        except (Exited, Trapped):
            restored = False
        undone, begins = self._checkpoints.executions.forget_after(checkpoint.after)
        why = self._checkpoints.why_none
        return {"restored": restored, "undone": undone, "begins": begins, "why": why}

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
            if "ask" in frame.header:
                return self._ask(frame, turn.request.header["id"])
            if "mark" in frame.header:
                return str(self._printing.mark(str(frame.header["mark"]))).encode()
            if frame.header.get("event", "done") == "done":
                turn.reply = frame
            else:
                self._printing.flush()
                self.send(Frame({**frame.header, "id": turn.request.header["id"]}, frame.blobs))
        return b""

    def _ask(self, question: Frame, number: object) -> bytes:
        """Pass on what code asks for; the answer, or nothing where it is interrupted."""
        while not self._answers.empty():
            self._answers.get()  # to what was asked before it was interrupted
        self.send(Frame({**question.header, "id": number}))
        try:
            answer = self._answers.get(timeout=_ANSWER_SECONDS)
        except queue.Empty:
            return b""
        return b"" if answer is None else encode(answer)


def _read(decoder: FrameDecoder) -> list[Frame]:
    """The next frames from the supervisor. Ends the process when that is gone."""
    while data := os.read(0, _READ_BYTES):
        if frames := list(decoder.feed(data)):
            return frames
    os._exit(0)


def _listen(decoder: FrameDecoder, worker: Worker, requests: queue.SimpleQueue[Frame]) -> None:
    while True:
        for frame in _read(decoder):
            if frame.header.get("op") in ("answer", "interrupt", "trap"):
                worker.hear(frame)
            else:
                requests.put(frame)


def main() -> int:
    """Serve one session until it is over; returns the process's exit code."""
    decoder = FrameDecoder()
    (start,) = _read(decoder)
    if start.header["is_held"] is True:
        hold_process(start.header)
    worker = Worker(start.header)
    requests = queue.SimpleQueue[Frame]()
    threading.Thread(target=_listen, args=(decoder, worker, requests), daemon=True).start()
    worker.send(Frame({"ready": True}))
    while True:
        try:
            request = requests.get(timeout=_BEFORE_CHECKPOINT_SECONDS)
        except queue.Empty:
            worker.rest(lambda: not requests.empty())
            request = requests.get()
        if not worker.answer(request):
            return 0


if __name__ == "__main__":
    os._exit(main())  # without waiting for the thread that reads
