"""What a stream carried, kept as bytes within a bound: its beginning, its end, and a count."""

from __future__ import annotations

import codecs

from aca_mcp.pool import StreamText


class BoundedOutput:
    """Collects bytes, keeps at most ``limit`` of them.

    Args:
        limit: how many bytes to keep; half from the beginning and half from the end.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def write(self, data: bytes) -> None:
        """Take bytes. Costs no memory past the bound, however many come."""
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Cut seldom: each cut moves what is kept.
        if len(self._tail) > 4 * self._half:
            del self._tail[: len(self._tail) - self._half]

    def text(self) -> StreamText:
        """All of it decoded, characters cut in two at the bound left out."""
        tail = self._tail[-self._half :] if self._half else bytearray()
        omitted = self.total - len(self._head) - len(tail)
        if omitted == 0:
            whole = bytes(self._head + tail).decode("utf-8", "replace")
            return StreamText(head=whole, total_bytes=self.total)
        return StreamText(
            head=_decode_start(bytes(self._head)),
            tail=_decode_end(bytes(tail)),
            total_bytes=self.total,
            omitted_bytes=omitted,
        )


def _decode_start(data: bytes) -> str:
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data)


def _decode_end(data: bytes) -> str:
    start = 0
    while start < min(4, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:].decode("utf-8", "replace")
