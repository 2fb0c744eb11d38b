"""The stdout and stderr of a session: pipes that carry, beside the text, where in it things stand.

Whoever reads the pipes must know in which order text and displays were made, though they come over
different descriptors. So a *mark* is written into both pipes wherever something is displayed, and
wherever text goes on in the other stream, or another process begins. A mark is a token that nobody
can print by accident, a kind and a number; it is written in one piece, and taken out by the reader
(``embedded/bounded_output.py``).

Whatever writes to a descriptor keeps its place with that: compiled code and other processes, too.
Nothing says which of its two descriptors another process wrote to first; but what it wrote before
code printed a line, or began one more process, stands before that.
"""

from __future__ import annotations

import io
import os
import subprocess  # noqa: TID251 -- starts none: it tells of those that code starts
import sys
from _thread import RLock, get_ident
from _thread import _count as count_threads  # pyright: ignore[reportPrivateUsage] -- threading has no other
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from .process import Descriptors
from .text_streams import TextStream, can_be_written_to, current_streams, flush_streams, position_in

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_BYTES = 13
MARK_BYTES = TOKEN_BYTES + 5

STDOUT, STDERR = b"o", b"e"
"""Kinds of mark: from here on this stream is written to."""
LATE_STDOUT, LATE_STDERR = b"O", b"E"
"""The same, by a thread that earlier code has left."""
DISPLAY = b"d"
"""Something is displayed here."""
CLEARED = b"c"
"""What was written before is to be forgotten."""

_ANYBODY = b"*"
"""No mark: other processes may have written since the last one."""

_ELSEWHERE = (
    "What is printed goes to {}, which earlier code has put in the place of sys.stdout; "
    "sys.stdout = sys.__stdout__ undoes that.\n"
)
MAX_SWITCHES = 2000
"""Marks that say no more than that the stream or the writer changes, in one execution."""
_MAX_SAME = 1500
"""After so many of them none is made that names the stream which the last one named, as those of
processes mostly do: the rest is for code that writes to one stream and then to the other."""


_write: Any = io.FileIO.write


class _Stream(io.FileIO):
    """One of the two descriptors, which tells when another one was written to before."""

    kind = STDOUT
    late = LATE_STDOUT
    owner: Streams | None = None

    def write(self, data: object, /) -> int:
        owner = self.owner
        # With each line that is printed: what is the same as before costs as little as can be.
        if owner is not None and (owner.old_threads or owner.last is not self.kind):
            kind = self.kind
            if owner.old_threads and get_ident() in owner.old_threads:
                kind = self.late
            if owner.last != kind:
                owner.turn_to(kind)
        return _write(self, data)


class Streams:
    """Both streams of a session's process. Made in the template: what it prepares is shared."""

    def __init__(self) -> None:
        self._token = b""
        self._process = 0
        self._marking = RLock()
        """Held by the thread that writes a mark: their numbers rise in both pipes."""
        self._pipes: dict[int, int] = {}
        self._standard = Descriptors()
        self._own: tuple[TextStream, ...] = ()
        self.number = 0
        """Of the last mark of this execution."""
        self.cleared = 0
        """The number of the last mark of this execution that forgets what was before it."""
        self.last = b""
        """The kind of mark that says who wrote last; empty where nobody has."""
        self.old_threads: frozenset[int] = frozenset()
        self._named = STDOUT
        """The kind of mark that says to which stream what follows was written first."""
        self._switches = 0
        self._has_processes = False
        """Whether this execution has started any."""
        self._clear_pending = False
        self._elsewhere: tuple[object, int | None] | None = None
        """What earlier code has put in the place of stdout, and how far it was written to."""
        os.register_at_fork(before=self.expect_others)
        subprocess.Popen.__init__ = _telling(subprocess.Popen.__init__, self.expect_others)
        system = vars(os)["system"]
        setattr(os, "system", _telling(system, self.expect_others))  # noqa: B010 -- it has no other

    def begin_session(self, token: bytes) -> None:
        """Call in the forked process: take over descriptors 1 and 2, which are its pipes.

        Args:
            token: what a mark begins with, a zero byte and random ones.
        """
        self._token = token
        self._process = os.getpid()
        # Copies: code may close descriptors, and point them elsewhere.
        self._standard.keep(0, 1, 2)
        self._pipes = {number: self._standard.copies[number] for number in (1, 2)}
        self._own = (_open(1, STDOUT, LATE_STDOUT), _open(2, STDERR, LATE_STDERR))
        self._take_over()

    def go_on_here(self) -> None:
        """Take this process, a copy of the one before, for the one that answers."""
        self._process = os.getpid()

    def begin(self, old_threads: frozenset[int]) -> None:
        """Prepare for an execution: streams that code closed or lost are there again."""
        self._standard.restore()
        if not can_be_written_to((*current_streams(), *self._own)):
            if not can_be_written_to(self._own):
                self._own = (_open(1, STDOUT, LATE_STDOUT), _open(2, STDERR, LATE_STDERR))
            self._take_over()
        self._elsewhere = None
        if sys.stdout is not self._own[0]:
            self._elsewhere = sys.stdout, position_in(sys.stdout)
        self.old_threads = old_threads
        with self._marking:
            self.number = self.cleared = self._switches = 0
        self.last, self._named = b"", STDOUT
        self._clear_pending = self._has_processes = False

    def expect_others(self) -> None:
        """Another process begins, which writes to the same pipes."""
        self.flush()
        if os.getpid() != self._process:
            return
        if self._clear_pending:
            self.clear()
        elif self.last:  # what was written so far was written before it
            self._mark_switch(STDOUT)
        self._has_processes = True
        self.last = _ANYBODY

    def place(self) -> int:
        """Mark that something is displayed here; the number of the mark."""
        self.flush()
        if self._clear_pending:
            self.clear()
        return self._mark(DISPLAY)

    def clear(self) -> int:
        """Mark that what was written before is to be forgotten; the number of the mark."""
        self.flush()
        self._clear_pending = False
        self.cleared = self._mark(CLEARED)
        return self.cleared

    def clear_before_next(self) -> None:
        """Do the same as soon as there is something to be seen instead."""
        self.flush()
        self._clear_pending = True
        self.last = b""

    def turn_to(self, kind: bytes) -> None:
        """From here on another stream is written to, or by another writer."""
        before, self.last = self.last, kind
        if os.getpid() != self._process:
            return  # a fork made by the code: it has no place of its own
        if kind == STDERR and before in (b"", STDOUT, _ANYBODY) and not count_threads():
            with suppress(ValueError):  # code has detached it
                self._own[0].flush()  # what was printed first, without the end of its line
        if self._clear_pending:
            self._clear_pending = False
            self.cleared = self._mark(CLEARED)
        elif before or kind != STDOUT:  # which a place is of where no mark says otherwise
            self._mark_switch(kind)
        self._named = kind
        self.last = _ANYBODY if self._has_processes else kind

    def flush(self) -> None:
        """Send what is still in Python's buffers."""
        flush_streams(self._own)
        if self._elsewhere is not None:
            self._tell_where_it_is()

    def _tell_where_it_is(self) -> None:
        """Say it once, if something was printed: an error may have kept code from undoing it."""
        stream, before = cast("tuple[object, int | None]", self._elsewhere)
        if stream is sys.stdout and position_in(stream) != before:
            self._elsewhere = None
            where = getattr(stream, "name", None) or f"a {type(stream).__name__}"
            self._own[1].write(_ELSEWHERE.format(where))

    def _mark_switch(self, kind: bytes) -> None:
        if self._switches < (_MAX_SAME if kind == self._named else MAX_SWITCHES):
            self._switches += 1
            self._mark(kind)

    def _mark(self, kind: bytes) -> int:
        with self._marking:
            self.number += 1
            number = self.number
            mark = self._token + kind + number.to_bytes(4, "big")
            for pipe in self._pipes.values():
                try:
                    os.write(pipe, mark)
                except OSError:
                    continue  # nobody reads it any more
        # What follows is stdout's unless another mark says otherwise.
        self._named = STDOUT
        self.last = STDOUT if kind == DISPLAY else b""
        if self._has_processes:
            self.last = _ANYBODY
        return number

    def _take_over(self) -> None:
        for stream in self._own:
            cast("_Stream", cast("io.BufferedWriter", stream.buffer).raw).owner = self
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = self._own  # pyright: ignore[reportAttributeAccessIssue, reportConstantRedefinition] -- ours from here on


def _telling(function: Callable[..., Any], tell: Callable[[], None]) -> Callable[..., Any]:
    @wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        tell()
        return function(*args, **kwargs)

    return told


def new_token() -> bytes:
    """What the marks of one session begin with."""
    return b"\0" + os.urandom(TOKEN_BYTES - 1)


def _open(descriptor: int, kind: bytes, late: bytes) -> TextStream:
    raw = _Stream(descriptor, "wb", closefd=False)
    raw.kind, raw.late = kind, late
    return TextStream(raw)
