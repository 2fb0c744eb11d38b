"""What an image is by its structure: its type and size, if all of it is there. Pure.

An image may be an attack on whoever decodes it, so nothing is decoded here but the frame around its
data. What is cut short, or only begins like an image, is none.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple


class ImageFacts(NamedTuple):
    """A whole image."""

    mime_type: str
    width: int
    height: int

    def is_within(self, max_side: int) -> bool:
        """It can be shown as it is where a side may have so many pixels."""
        return 0 < max(self.width, self.height) <= max_side


def examine(data: bytes) -> ImageFacts | None:
    """The image that the bytes are, or None if they are not a whole one that can be shown."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", data, 6)
            return _whole("image/gif", width, height, is_whole=data.rstrip(b"\0").endswith(b";"))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        return None
    return None


def _whole(mime_type: str, width: int, height: int, *, is_whole: bool) -> ImageFacts | None:
    return ImageFacts(mime_type, width, height) if is_whole and width and height else None


def _png(data: bytes) -> ImageFacts | None:
    width, height = struct.unpack_from(">II", data, 16)
    at, has_data = 8, False
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(memoryview(data)[at + 4 : end]) != checksum:
            return None
        has_data = has_data or kind == b"IDAT"
        if kind == b"IEND":
            return _whole("image/png", width, height, is_whole=has_data)
        at = end + 4


def _jpeg(data: bytes) -> ImageFacts | None:
    width = height = 0
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
        if marker == 0xDA:  # the data, to the end
            return _whole("image/jpeg", width, height, is_whole=b"\xff\xd9" in data[-64:])
        at += 2 + length
    return None


def _webp(data: bytes) -> ImageFacts | None:
    (size,) = struct.unpack_from("<I", data, 4)
    kind = data[12:16]
    width = height = 0
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    return _whole("image/webp", width, height, is_whole=len(data) >= size + 8)
