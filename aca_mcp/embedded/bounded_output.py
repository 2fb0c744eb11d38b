"""What a stream carried, kept as bytes within a bound, and the marks in it. Pure.

The marks of ``kernel.streams`` say where in the stream something was displayed, the other stream
was written to, or what came before is to be forgotten. They are taken out here. Code can forge
them, and gains by it that its own output is shown in another order.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.execution import StreamName, StreamText
from aca_mcp.kernel.streams import (
    CLEARED,
    LATE_STDERR,
    LATE_STDOUT,
    MARK_BYTES,
    STDERR,
    TOKEN_BYTES,
)
from aca_mcp.reports.building import Piece, Streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_MARKS = 4000
"""Of one execution that are looked at; its kernel makes fewer."""
_FROM_BEFORE = b"<"
_LATE = {"stdout": LATE_STDOUT, "stderr": LATE_STDERR}


class Mark(NamedTuple):
    """A mark in a stream."""

    number: int
    kind: bytes
    offset: int
    """How many bytes of the stream came before it."""


class BoundedOutput:
    """Collects the bytes of one stream, and keeps at most ``limit`` of them.

    Args:
        stream: which one it is.
        limit: how many bytes to keep; half from the beginning and half from the end.
        token: what marks begin with; empty where there are none.
    """

    def __init__(self, stream: StreamName, limit: int, token: bytes = b"") -> None:
        self._stream: StreamName = stream
        self._half = limit // 2
        self._token = token
        self._head = bytearray()
        self._tail = bytearray()
        self._marks: list[Mark] = []
        self._split = b""
        """The end of what came, if it may be the beginning of a mark."""
        self.total = 0

    @property
    def marks(self) -> tuple[Mark, ...]:
        """In the order of their numbers."""
        return tuple(self._marks)

    def write(self, data: bytes) -> Sequence[bytes | Mark]:
        """Take bytes, and return text and marks in turn.

        Costs no memory past the bound, however many come.
        """
        if self._split:
            data, self._split = self._split + data, b""
        # A mark begins with a zero byte, and comes in one piece but for where reading cut it.
        if not self._token or b"\0" not in data:
            return (self._keep(data),)
        return tuple(self._divided(data))

    def begin(self) -> None:
        """What was taken so far was written before the code ran."""
        if self.total:
            self._marks = [Mark(0, _FROM_BEFORE, 0), Mark(0, b"", self.total)]

    def finish(self) -> None:
        """No more will come: what looked like the beginning of a mark was none."""
        if self._split:
            self._keep(self._split)
            self._split = b""

    def text(self) -> StreamText:
        """All of it decoded, characters cut in two at the bound left out."""
        return self.parts()[0]

    def parts(self) -> tuple[StreamText, list[Piece]]:
        """All of it decoded, and which part stands behind which mark."""
        tail = bytes(self._tail[-self._half :]) if self._half else b""
        omitted = self.total - len(self._head) - len(tail)
        if not self._marks and not omitted:
            text = bytes(self._head + tail).decode("utf-8", "replace")
            whole = [Piece(0, self._stream, len(text))] if text else []
            return StreamText(text, total_bytes=self.total), whole
        heads: list[str] = []
        tails: list[str] = []
        pieces: list[Piece] = []
        head, skipped = bytes(self._head), len(self._head) + omitted
        for number, kind, start, end in self._intervals():
            before = _decode(head[start:end], cut_end=omitted > 0 and end >= len(head))
            after_start = max(start - skipped, 0)
            after = _decode(tail[after_start : max(end - skipped, 0)], cut_start=after_start == 0)
            heads.append(before)
            tails.append(after)
            late = kind in (_FROM_BEFORE, _LATE[self._stream])
            pieces.append(Piece(number, self._stream, len(before) + len(after), late))
        if not omitted:
            return StreamText("".join(heads) + "".join(tails), total_bytes=self.total), pieces
        limit = f"at most {2 * self._half:,} are, of each stream (ACA_MCP_LOCAL_MAX_OUTPUT_KIB)"
        text = StreamText("".join(heads), "".join(tails), self.total, omitted, limit=limit)
        return text, pieces

    def _intervals(self) -> Iterator[tuple[int, bytes, int, int]]:
        marks = [Mark(0, b"", 0), *self._marks]
        ends = [mark.offset for mark in marks[1:]] + [self.total]
        for mark, end in zip(marks, ends, strict=True):
            if end > mark.offset:
                yield mark.number, mark.kind, mark.offset, end

    def _divided(self, data: bytes) -> Iterator[bytes | Mark]:
        start = 0
        while (found := data.find(self._token, start)) >= 0 and found + MARK_BYTES <= len(data):
            yield self._keep(data[start:found])
            start = found + MARK_BYTES
            kind = data[found + TOKEN_BYTES : found + TOKEN_BYTES + 1]
            yield self._note(int.from_bytes(data[start - 4 : start]), kind)
        end = _beginning_of_mark(data, self._token, max(start, len(data) - MARK_BYTES + 1))
        self._split = data[end:]
        yield self._keep(data[start:end])

    def _note(self, number: int, kind: bytes) -> Mark:
        if kind == CLEARED:
            self._head.clear()
            self._tail.clear()
            self.total = 0
            self._marks.clear()
        elif self._marks and self._marks[-1].number >= number > 0:
            # Numbers begin anew with each execution: what came until now is of an earlier one.
            self._marks = [Mark(0, _FROM_BEFORE, 0)]
        mark = Mark(number, kind, self.total)
        if len(self._marks) < MAX_MARKS:
            self._marks.append(mark)
        return mark

    def _keep(self, data: bytes) -> bytes:
        self.total += len(data)
        room = self._half - len(self._head)
        rest = data
        if room > 0:
            self._head += data[:room]
            rest = data[room:]
        self._tail += rest
        # Cut seldom: each cut moves what is kept.
        if len(self._tail) > 4 * self._half:
            del self._tail[: len(self._tail) - self._half]
        return data


def streams_of(stdout: BoundedOutput, stderr: BoundedOutput) -> Streams:
    """Both streams, with their parts in the order of writing as far as it is known."""
    out, out_pieces = stdout.parts()
    err, err_pieces = stderr.parts()
    if not err_pieces:
        return Streams(out, err, tuple(out_pieces))
    first_err = {
        mark.number for mark in stderr.marks if mark.kind in (STDERR, LATE_STDERR, _FROM_BEFORE)
    }

    def key(piece: Piece) -> tuple[int, bool, bool]:
        comes_second = (piece.stream == "stdout") == (piece.place in first_err)
        return piece.place, not piece.late and piece.place == 0, comes_second

    return Streams(out, err, tuple(sorted([*out_pieces, *err_pieces], key=key)))


def _beginning_of_mark(data: bytes, token: bytes, start: int) -> int:
    """Where the last bytes may be the first of a mark; their end if they cannot."""
    found = data.find(b"\0", start)
    while found >= 0:
        rest = data[found : found + TOKEN_BYTES]
        if token.startswith(rest):
            return found
        found = data.find(b"\0", found + 1)
    return len(data)


def _decode(data: bytes, *, cut_start: bool = False, cut_end: bool = False) -> str:
    if not (cut_start or cut_end):
        return data.decode("utf-8", "replace")
    start = 0
    while cut_start and start < min(4, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(data[start:], final=not cut_end)
