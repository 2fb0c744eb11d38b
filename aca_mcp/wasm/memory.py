"""The memory of an instance as its whole state: copied out, put in, and kept for coming back.

Only between two requests: then no function of the instance is running, and all that it has besides
its memory is as it was when it was made. Open files are not in it.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.wasm.instance import Instance

_PIECE_BYTES = 16_384
"""What is compared, and kept, at once."""
_MAP_FIXED = 0x10


def copy_memory(instance: Instance) -> bytes:
    """All of an instance's memory."""
    return ctypes.string_at(instance.address, instance.size)


class Image:
    """The memory that sessions begin with, in a file that all of them share."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._bytes = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._bytes)

    def piece(self, start: int, length: int) -> bytes:
        """Some bytes of it; zeros past its end, as in memory that has just grown."""
        return self._bytes[start : start + length].ljust(length, b"\0")

    def put_into(self, instance: Instance) -> None:
        """Let a new instance begin with it.

        On Linux the pages are the file's own until the instance writes to them, so that sessions
        share what they do not change.
        """
        instance.grow_to(len(self))
        if sys.platform == "linux" and self._map(instance.address):
            return
        self._file.seek(0)
        self._file.readinto((ctypes.c_char * len(self)).from_address(instance.address))

    def _map(self, address: int) -> bool:
        if sys.platform == "win32":
            return False
        call = ctypes.CDLL(None).mmap
        call.restype = ctypes.c_void_p
        call.argtypes = (
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_long,
        )
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        flags = mmap.MAP_PRIVATE | _MAP_FIXED
        return call(address, len(self), protection, flags, self._file.fileno(), 0) == address


class Checkpoint:
    """The memory of a session at one moment: what differs from the image it began with."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._pieces: dict[int, bytes] = {}
        self._size = 0

    @property
    def kept_bytes(self) -> int:
        """What it costs."""
        return len(self._pieces) * _PIECE_BYTES

    def take(self, instance: Instance) -> None:
        """Let it be of this moment."""
        address, self._size = instance.address, instance.size
        for start in range(0, self._size, _PIECE_BYTES):
            now = ctypes.string_at(address + start, _PIECE_BYTES)
            if now == self._image.piece(start, _PIECE_BYTES):
                self._pieces.pop(start, None)
            elif now != self._pieces.get(start):
                self._pieces[start] = now

    def put_into(self, instance: Instance) -> None:
        """Let a new instance, into which the image was put, go on from that moment."""
        instance.grow_to(self._size)
        address = instance.address
        for start, data in self._pieces.items():
            ctypes.memmove(address + start, data, len(data))
