"""The memory of an instance as its whole state: copied out, put in, and kept for coming back.

Only between two requests: then no function of the instance is running, and all that it has besides
its memory is as it was when it was made. Open files are not in it.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aca_mcp.wasm.instance import Instance

_PIECE_BYTES = 16_384
"""What is compared, and kept, at once."""
_PIECES_BETWEEN_LOOKS = 256
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


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The memory of a session at one moment: what differs from the image that it began with.

    Checkpoints of one session share the pieces that did not change between them.
    """

    after: int
    """The number of the last request that it knows."""
    size: int
    """Of the whole memory, in bytes."""
    pieces: Mapping[int, bytes]
    """By where they begin."""

    def put_into(self, instance: Instance) -> None:
        """Let a new instance, into which the image was put, go on from that moment."""
        instance.grow_to(self.size)
        address = instance.address
        for start, data in self.pieces.items():
            ctypes.memmove(address + start, data, len(data))


def take_checkpoint(
    instance: Instance,
    image: Image,
    after: int,
    before: Checkpoint | None,
    *,
    is_wanted: Callable[[], bool],
) -> Checkpoint | None:
    """Keep the memory of this moment.

    Args:
        instance: in which nothing runs.
        image: that it began with.
        after: the number of the last request that it knows.
        before: the last one that was taken.
        is_wanted: asked now and then: whether the instance is wanted for something else.

    Returns:
        None if it was.
    """
    known: Mapping[int, bytes] = {} if before is None else before.pieces
    address, size = instance.address, instance.size
    pieces: dict[int, bytes] = {}
    for number, start in enumerate(range(0, size, _PIECE_BYTES)):
        if number % _PIECES_BETWEEN_LOOKS == 0 and is_wanted():
            return None
        now = ctypes.string_at(address + start, _PIECE_BYTES)
        kept = known.get(start)
        if kept is not None and kept == now:
            pieces[start] = kept
        elif kept is not None or now != image.piece(start, _PIECE_BYTES):
            pieces[start] = now
    return Checkpoint(after, size, pieces)


def kept_bytes(*checkpoints: Checkpoint) -> int:
    """What checkpoints of one session take together."""
    distinct = {id(data): len(data) for each in checkpoints for data in each.pieces.values()}
    return sum(distinct.values())
