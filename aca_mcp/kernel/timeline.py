"""Where what a piece of code shows is told: the events of one execution, in the order of making.

An event is a JSON object with attachments:

* ``{"event": "display" | "result", "place": n, "data": {mime: text | {"blob": i}}, ...}``, where
  ``place`` is the number of the mark behind which it stands in the streams, or None for their end;
  with ``"behind": display_id`` it stands with that display, as a further part of what is shown;
* ``{"event": "update", "display_id": text, "data": ...}`` replaces what a display showed;
* ``{"event": "clear", "place": n}`` forgets what was shown before that mark;
* ``{"event": "done", "error": ..., "files": [...], "pieces": [...]}`` is the last.

Locally events are frames on the session's connection, sent as they are made, and marks are in the
pipes (``streams``). Elsewhere they are recorded here and sent together. Standard library only.
"""

from __future__ import annotations

import os
from _thread import get_ident
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from .message_framing import MAX_REPLY_HEADER_BYTES, Frame, FrameError, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Event = Mapping[str, object]
    Blobs = Sequence[bytes]

MAX_PIECES = 4000
_TAIL_CHARACTERS = 32
_MAX_LATE_CHARACTERS = 20_000
_LATE_LEFT_OUT = "\n[what it printed after this is left out]\n"

_recorder: ContextVar[object] = ContextVar("recorder")
"""Of the execution that made what runs here; threads have none, unless they work for a task."""


def done(
    error: Mapping[str, str] | None, files: Sequence[str], kept: Sequence[str]
) -> dict[str, object]:
    """The last event.

    Args:
        error: how the code ended, as ``tracebacks.describe`` gives it.
        files: paths that the code made or changed.
        kept: those of them that keep what a result cannot show, and are named with it.
    """
    return {
        "event": "done",
        "error": error,
        "files": [os.fsencode(path).decode(errors="replace") for path in files],
        "kept": kept,
    }


def encoded(event: Event, blobs: Blobs) -> bytes:
    """An event as a frame; one that is too large says so instead."""
    try:
        return encode(Frame(event, blobs), MAX_REPLY_HEADER_BYTES)
    except FrameError:
        remarks = ["too large to be shown; save it to a file instead"]
        return encode(Frame({**event, "data": {}, "text": "", "remarks": remarks}))


class Sink(Protocol):
    """Takes events."""

    def place(self) -> int:
        """Note that something is displayed now; the number of the place."""
        ...

    def clear(self) -> int:
        """Note that what was written so far is to be forgotten; the number of the place."""
        ...

    def clear_before_next(self) -> None:
        """Do so as soon as something is written or displayed."""
        ...

    def emit(self, event: Event, blobs: Blobs) -> None:
        """Take an event."""
        ...


class Recorder:
    """Keeps the events of one execution, with updates and clears applied; notes places itself.

    It sees what is written by Python to streams that ``follow`` was given. What other processes
    write besides is not counted, so each piece has its last characters, to be found by.

    What earlier code left writes, a thread or a task, also before this execution begins, a Jupyter
    kernel would send to that code, whose answer is gone. So it is not written, but kept here.
    """

    def __init__(self) -> None:
        self._old_threads: frozenset[int] | None = None
        """None until the execution begins: until then all of them are old."""
        self._kernels = {get_ident()}
        """Threads that run what is no user's between two executions."""
        self._late_room = _MAX_LATE_CHARACTERS
        self.events: deque[tuple[dict[str, Any], Blobs]] = deque()
        self.pieces: list[list[Any]] = []
        """Place, stream, number of characters, the last of them, and what else there is to say:
        ``cleared``, or ``late`` for what earlier code has left wrote, with the whole text.
        """
        self._place = 0
        self._clear_pending = False
        self._restore: list[Callable[[], None]] = []

    def begin(self, old_threads: frozenset[int]) -> None:
        """What is written by this context and by new threads is of the execution from now on.

        Args:
            old_threads: identifiers of threads that earlier code has left.
        """
        self._leave()
        self._old_threads = old_threads
        _recorder.set(self)

    def follow(self, stream: Any, name: str) -> None:
        """Count what is written to a stream from now on."""
        write = stream.write
        # A Jupyter kernel's thread that passes on what processes of the code print.
        self._kernels.add(getattr(getattr(stream, "watch_fd_thread", None), "ident", 0))

        def counted(text: Any) -> Any:
            if isinstance(text, str) and not text.isascii():
                # Half of a surrogate pair is nothing that a kernel could send.
                text = text.encode(errors="backslashreplace").decode()
            if self._is_late() and isinstance(text, str):
                self._keep_late(name, text)
                return len(text)
            if self._old_threads is not None:
                self._wrote(name, text)
            return write(text)

        def restore() -> None:
            with suppress(AttributeError):
                del stream.write

        with suppress(AttributeError):  # some have no room for it: their places are not known
            stream.write = counted
            self._restore.append(restore)

    def end(self) -> None:
        """Leave the streams alone again."""
        _recorder.set(None)
        self._leave()

    def _leave(self) -> None:
        while self._restore:
            self._restore.pop()()

    def place(self) -> int:
        """See ``Sink``."""
        if self._clear_pending:
            self.clear()
        self._place += 1
        return self._place

    def clear(self) -> int:
        """See ``Sink``."""
        self._clear_pending = False
        self._place += 1
        self.events.clear()
        self.pieces = [[0, name, count, "", "cleared"] for name, count in self._counts().items()]
        return self._place

    def clear_before_next(self) -> None:
        """See ``Sink``."""
        self._clear_pending = True

    def emit(self, event: Event, blobs: Blobs) -> None:
        """See ``Sink``."""
        if event["event"] == "clear":
            return  # done by ``clear``
        if event["event"] == "update":
            found = False
            for at, (earlier, _) in enumerate(self.events):
                if earlier.get("display_id") == event["display_id"]:
                    kept = {key: earlier[key] for key in ("event", "place", "display_id")}
                    self.events[at] = ({**event, **kept}, blobs)
                    found = True
            if found:
                return
            event = {**event, "event": "display", "place": None}
        self.events.append((dict(event), blobs))

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for _, name, count, *_ in self.pieces:
            counts[name] = counts.get(name, 0) + count
        return counts

    def _is_late(self) -> bool:
        owner = _recorder.get(None)
        if owner is not None:
            return owner is not self
        if self._old_threads is None:
            return get_ident() not in self._kernels
        return get_ident() in self._old_threads

    def _keep_late(self, name: str, text: str) -> None:
        if self._late_room > 0:
            room, self._late_room = self._late_room, self._late_room - len(text)
            self._add(name, text if len(text) <= room else text[:room] + _LATE_LEFT_OUT, "late")

    def _wrote(self, name: str, text: object) -> None:
        if isinstance(text, str):
            self._add(name, text, "")

    def _add(self, name: str, text: str, state: str) -> None:
        if not text:
            return
        if self._clear_pending:
            self.clear()
        counted, kept = (0, None) if state else (len(text), -_TAIL_CHARACTERS)
        last = self.pieces[-1] if self.pieces else None
        if last is not None and [last[0], last[1], last[4]] == [self._place, name, state]:
            last[2] += counted
            last[3] = (last[3] + text)[kept:]
        elif len(self.pieces) < MAX_PIECES:
            self.pieces.append([self._place, name, counted, text[kept:], state])
