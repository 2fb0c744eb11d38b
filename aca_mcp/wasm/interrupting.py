"""Interrupts code in an instance by noting a signal in its memory, as CPython itself would.

``guest.interrupts`` lets Python note signals while this module looks at the memory, so that which
words those are is found out and not assumed. See there.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COOKIE = b"xdebugpy"
"""With it begins CPython's description of its own state, which is for debuggers to find."""
_SIZE_OFFSET = 24
_MAX_RUNTIME_BYTES = 2**22
_WORD = struct.Struct("<I")
_WORDS = 3
"""That this signal has come, that some signal has, and that the evaluation loop is to look."""


@dataclass(frozen=True, slots=True)
class SignalWord:
    """A 32-bit word, and the bits that are set in it when SIGINT has come."""

    address: int
    bits: int


@dataclass(slots=True)
class SignalWordSearch:
    """Collects what memory was like before, when, and after a signal was noted."""

    seen: list[bytes] = field(default_factory=list[bytes])
    start: int = 0
    """Where CPython's own state begins."""

    def look(self, address: int, size: int) -> None:
        """Keep the part of an instance's memory that has CPython's own state.

        Args:
            address: where the memory is in this process.
            size: of the memory.
        """
        if not self.seen:
            self.start = _runtime_in(ctypes.string_at(address, size))
        state = address + self.start
        length = ctypes.c_uint64.from_address(state + _SIZE_OFFSET).value
        self.seen.append(ctypes.string_at(state, min(length, size - self.start)))

    def words(self) -> tuple[SignalWord, ...]:
        """The words, or none if it is not certain which they are."""
        triples = list(zip(self.seen[::3], self.seen[1::3], self.seen[2::3], strict=True))
        found = tuple(
            SignalWord(self.start + offset, bits)
            for offset, bits in _changed(triples)
            if bits.bit_count() == 1
        )
        return found if len(found) == _WORDS else ()


def _runtime_in(memory: bytes) -> int:
    at = memory.find(_COOKIE)
    while at >= 0:
        (size,) = struct.unpack_from("<Q", memory, at + _SIZE_OFFSET)
        if 0 < size < _MAX_RUNTIME_BYTES:
            return at
        at = memory.find(_COOKIE, at + 1)
    raise LookupError("CPython's own state is not where it should be")


def _changed(triples: Sequence[tuple[bytes, ...]]) -> Iterator[tuple[int, int]]:
    """Offset and new bits of the words that differ only while a signal is noted, each time."""
    length = min(len(data) for triple in triples for data in triple)
    for offset in range(0, length - 3, 4):
        bits: set[int] = set()
        for triple in triples:
            before, noted, noticed = (_WORD.unpack_from(data, offset)[0] for data in triple)
            bits.add(noted & ~before if before == noticed else 0)
        if len(bits) == 1 and (bit := bits.pop()):
            yield offset, bit


def note_signal(words: Sequence[SignalWord], address: int) -> None:
    """Let the interpreter of a running instance see that SIGINT has come.

    Args:
        words: what ``SignalWordSearch`` found.
        address: where the instance's memory is in this process.
    """
    for word in words:
        cell = ctypes.c_uint32.from_address(address + word.address)
        cell.value |= word.bits
