"""Frames between a kernel and its supervisor: a JSON header and binary attachments. Pure.

On the wire a frame is two big-endian 32-bit lengths, of the header and of all attachments
together; then the header, in which ``"blobs"`` has the length of each attachment; then the
attachments, one after the other. Figures travel as the bytes that they are.

Both ends use it. A supervisor must not believe a frame: the code in a session can write to every
descriptor that its kernel has.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_HEADER_BYTES = 8 * 2**20
"""Of a request: code is in it."""
MAX_REPLY_HEADER_BYTES = 512 * 1024
"""Of what comes out of a session: long texts are attachments, which cost little to read."""
MAX_BLOB_BYTES = 16 * 2**20
MAX_BLOBS = 64

_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_LENGTHS = struct.Struct(">II")


class FrameError(Exception):
    """What arrived is not a frame. The other end cannot be trusted any more."""


class Frame(NamedTuple):
    """One message."""

    header: Mapping[str, object]
    blobs: Sequence[bytes] = ()


def encode(frame: Frame, max_header_bytes: int = MAX_HEADER_BYTES) -> bytes:
    """Return the frame's bytes.

    Raises:
        FrameError: it is larger than the other end would take.
    """
    lengths = [len(blob) for blob in frame.blobs]
    # A lone surrogate becomes the escape that JSON has for it.
    header = _JSON.encode({**frame.header, "blobs": lengths}).encode("utf-8", "backslashreplace")
    if len(header) > max_header_bytes or sum(lengths) > MAX_BLOB_BYTES:
        raise FrameError("the frame is too large")
    return b"".join((_LENGTHS.pack(len(header), sum(lengths)), header, *frame.blobs))


class FrameDecoder:
    """Bytes in, frames out, in whatever pieces the bytes arrive."""

    def __init__(self, max_header_bytes: int = MAX_HEADER_BYTES) -> None:
        self._buffer = bytearray()
        self._max_header_bytes = max_header_bytes

    @property
    def missing(self) -> int:
        """How many bytes the frame that has begun to come still lacks; 0 if that is not known."""
        if len(self._buffer) < _LENGTHS.size:
            return 0
        return max(0, _LENGTHS.size + sum(_LENGTHS.unpack_from(self._buffer)) - len(self._buffer))

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Take bytes, and yield each frame that they complete.

        Raises:
            FrameError: they are no frame. The decoder is of no use after that.
        """
        self._buffer += data
        while (frame := self._take()) is not None:
            yield frame

    def _take(self) -> Frame | None:
        if len(self._buffer) < _LENGTHS.size:
            return None
        header_length, blob_length = _LENGTHS.unpack_from(self._buffer)
        if header_length > self._max_header_bytes or blob_length > MAX_BLOB_BYTES:
            raise FrameError("a frame announces more than is allowed")
        end = _LENGTHS.size + header_length + blob_length
        if len(self._buffer) < end:
            return None
        start_of_blobs = _LENGTHS.size + header_length
        header = _parse(self._buffer[_LENGTHS.size : start_of_blobs])
        lengths = header.pop("blobs", [])
        blobs: Sequence[bytes] = ()
        if lengths != [] or blob_length:  # few frames have any
            with memoryview(self._buffer) as view:
                blobs = tuple(_split(view[start_of_blobs:end], lengths))
        del self._buffer[:end]
        return Frame(header, blobs)


def _parse(data: bytearray) -> dict[str, object]:
    try:
        value: object = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame's header is not JSON") from error
    if not isinstance(value, dict):
        raise FrameError("a frame's header is not an object")
    return cast("dict[str, object]", value)


def _split(data: memoryview, lengths: object) -> Iterator[bytes]:
    if not isinstance(lengths, list) or len(cast("list[object]", lengths)) > MAX_BLOBS:
        raise FrameError("a frame's attachments have no lengths, or are too many")
    start = 0
    for length in cast("list[object]", lengths):
        if not isinstance(length, int) or length < 0:
            raise FrameError("an attachment's length is not a number")
        yield bytes(data[start : start + length])
        start += length
    if start != len(data):
        raise FrameError("the attachments' lengths do not add up")
