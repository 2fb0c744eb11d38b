"""Whole images of any size in bytes, as small programs would draw them."""

from __future__ import annotations

import os
import struct
import zlib


def png(size: int = 0, *, width: int = 2, height: int = 1) -> bytes:
    """A PNG, with a comment of random bytes that makes it as large as is wanted."""
    row = b"\0" + bytes(3 * width)
    parts = [
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(row * height)),
        _chunk(b"IEND", b""),
    ]
    missing = size - sum(map(len, parts)) - 12
    if missing > 0:
        parts.insert(2, _chunk(b"raNd", os.urandom(missing)))
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
