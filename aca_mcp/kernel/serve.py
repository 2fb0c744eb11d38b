"""The loop of a session: a request in, a piece of code run, events and an answer out."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, cast

from .changed_files import changed, snapshot
from .distributions import installed_packages
from .image_scaling import MAX_SIDE
from .message_framing import Frame, FrameDecoder, encode
from .pip_requests import FOREVER, PackageClient, add
from .process import flush_native, other_threads
from .timeline import Recorder, done, encoded

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from .checkpoint import Checkpoints
    from .interpreter import Interpreter
    from .streams import Streams
    from .timeline import Sink

_READ_BYTES = 64 * 1024


class FrameSink:
    """Sends the events of one execution as they are made."""

    def __init__(self, connection: Connection, streams: Streams, number: object) -> None:
        self.place = streams.place
        self.clear = streams.clear
        self.clear_before_next = streams.clear_before_next
        self._streams = streams
        self._connection = connection
        self._number = number
        self._cleared = 0

    def emit(self, event: Mapping[str, object], blobs: Sequence[bytes]) -> None:
        """Send an event; one that is too large says so instead."""
        self.tell_cleared()
        data = encoded({"id": self._number, **event}, blobs)
        if event.get("place", 0) is None:
            self._connection.put(data)  # it stands at the end, and travels with it
        else:
            self._connection.send(data)

    def tell_cleared(self) -> None:
        """Say what is to be forgotten, if something was printed or displayed in its stead."""
        if (place := self._streams.cleared) > self._cleared:
            self._cleared = place
            clear = {"id": self._number, "event": "clear", "place": place}
            self._connection.put(encoded(clear, ()))


class Connection:
    """Sends whole frames, although a signal's handler may raise in the midst of one."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._pending = _Pending()
        self._lock = threading.RLock()  # a thread may ask for packages meanwhile

    def put(self, data: bytes) -> None:
        """Have bytes sent before those that are sent next."""
        with self._lock:
            self._pending.frames.append(data)

    def send(self, data: bytes) -> None:
        """Send bytes, after what was put there, and what an exception left unsent before."""
        with self._lock:
            pending = self._pending
            pending.frames.append(data)
            while rest := pending.rest():
                # In one step: between a call and the assignment of what it gave a handler may run.
                pending.sent.extend(map(self._socket.send, (rest,)))
            self._pending = _Pending()

    def receive(self) -> bytes:
        """What has come; empty when the other end is closed."""
        return self._socket.recv(_READ_BYTES)

    def comes_within(self, seconds: float | None) -> bool:
        """Wait for something to come; None leaves that to whoever receives it."""
        if seconds is None:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def wait(self, ended: int) -> bool:
        """Wait until something has come. False if the descriptor ``ended`` was readable first."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if ended != FOREVER:
            poll.register(ended, select.POLLIN)
        return ended not in dict(poll.poll())


class _Pending:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.sent: list[int] = []
        """How many bytes of them together, step by step."""

    def rest(self) -> memoryview:
        return memoryview(b"".join(self.frames))[sum(self.sent) :]


def serve(
    control: socket.socket,
    interpreter: Interpreter,
    streams: Streams,
    checkpoints: Checkpoints | None = None,
    *,
    asks_for_packages: bool = False,
) -> None:
    """Answer frames until the other end closes the connection. The interpreter has begun.

    ``{"op": "execute", "id": n, "code": text}`` is answered with events (``timeline``), each with
    the ``id``, the last of which is ``done``; ``{"op": "packages", "id": n}`` with what can be
    imported. With ``"paths": [...]`` directories can be imported from before anything else is
    done; ``{"op": "add", "id": n, "paths": [...]}`` is nothing but that. While code runs,
    ``{"ask": "install", "number": n, ...}`` may go out; the answer has its number.
    ``{"op": "warm_up"}`` is not answered: a session that nobody waits for writes to its memory, so
    that what it shares with the template is copied now rather than when somebody does.
    """
    connection = Connection(control)
    decoder = FrameDecoder()
    if asks_for_packages:
        interpreter.take_over_installing(PackageClient(connection))
    work_directory = os.getcwd()  # noqa: PTH109 -- code may go elsewhere
    while True:
        while checkpoints is not None and checkpoints.settle(
            busy="tasks" if interpreter.loops.have_tasks() else ""
        ):
            decoder = FrameDecoder()  # for another connection
            interpreter.go_on_here()
            streams.go_on_here()
        pause = None if checkpoints is None else checkpoints.pause
        interpreter.loops.run_until_readable(control, pause)
        if checkpoints is not None and not connection.comes_within(checkpoints.pause):
            continue
        if not (data := connection.receive()):
            return
        for frame in decoder.feed(data):
            if frame.header.get("op") == "warm_up":
                prefault(interpreter, streams)
            if "id" not in frame.header:
                continue  # that, or the answer to a question that was interrupted
            arrived = time.monotonic()
            reply = _obey(frame.header, interpreter, streams, connection, work_directory)
            connection.send(encode(Frame({"id": frame.header["id"], **reply})))
            if checkpoints is not None and frame.header["op"] == "execute":
                wait = cast("float", frame.header.get("copy_after", 0.0))
                checkpoints.executed(frame.header["id"], arrived + wait)


def _obey(
    request: Mapping[str, Any],
    interpreter: Interpreter,
    streams: Streams,
    connection: Connection,
    work_directory: str,
) -> dict[str, Any]:
    if "paths" in request:
        add(*map(str, cast("list[object]", request["paths"])))
    match request["op"]:
        case "packages":
            return {"packages": installed_packages()}
        case "add":
            return {}
        case _:
            sink = FrameSink(connection, streams, request["id"])
            last = execute(request, interpreter, streams, sink, work_directory)
            sink.tell_cleared()
            return last


class Pipes(Protocol):
    """What is printed to, around one execution."""

    def begin(self, old_threads: frozenset[int]) -> None:
        """Prepare for it."""
        ...

    def flush(self) -> None:
        """Send what is still in Python's buffers."""
        ...


def execute(
    request: Mapping[str, Any],
    interpreter: Interpreter,
    streams: Pipes,
    sink: Sink,
    work_directory: str,
) -> dict[str, Any]:
    """Run a request's code, and return its last event."""
    before = snapshot(work_directory)
    old_threads = other_threads()
    streams.begin(old_threads)
    result = interpreter.run(
        str(request["code"]),
        sink,
        work_directory=work_directory,
        max_side=int(request.get("max_side") or 0) or MAX_SIDE,
        old_threads=old_threads,
    )
    streams.flush()
    flush_native()
    return done(result.error, changed(before, snapshot(work_directory)), result.kept)


def prefault(interpreter: Interpreter, streams: Pipes) -> None:
    """Answer a request, and forget it.

    A forked process copies each page of memory when it first changes it. Those that every request
    changes are better copied in a session started ahead than when somebody waits.
    """
    code = "import sys\nprint(end='')\n1"
    request = encode(Frame({"op": "execute", "id": 0, "code": code}))
    for frame in FrameDecoder().feed(request):
        recorder = Recorder()
        last = execute(frame.header, interpreter, streams, recorder, ".")
        for event, blobs in recorder.events:
            encoded(event, blobs)
        encode(Frame(last))
    interpreter.forget()
