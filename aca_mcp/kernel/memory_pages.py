"""The pages of memory that this process has to itself, and having some to itself ahead of need.

A fork shares all pages, and each is copied when one of the two first writes to it: some
microseconds, for which whoever runs code then waits. A process that is idle has the time.

By ``/proc/self/pagemap`` (Linux: Documentation/admin-guide/mm/pagemap.rst), which has eight bytes
for each page, and ``MADV_POPULATE_WRITE`` (madvise(2), Linux 5.14). Where one of them is missing
nothing is done.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

_PAGE_BYTES = mmap.PAGESIZE
_ENTRY_BYTES = 8
_BLOCK = 256
"""Pages whose entries are read at once: few, since what is read is memory written to."""
_MOST_LOOKED_AT = 2**17
"""Pages: 512 MiB of them, for which it takes some milliseconds."""
_MADV_POPULATE_WRITE = 23

_PRESENT, _OF_FILE, _EXCLUSIVE = 0x80, 0x20, 0x01
"""In the last byte of an entry: bits 63, 61 and 56."""
_IS_OWN = bytes(
    b"01"[flags & (_PRESENT | _OF_FILE | _EXCLUSIVE) == _PRESENT | _EXCLUSIVE]
    for flags in range(256)
)
_RUN = re.compile("1+")


class Pages:
    """A set of pages by their numbers. A bit for each: it must not take many pages itself."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}
        """Block number to bits, of which the highest is for the first page of the block."""

    def add_flags(self, first: int, flags: bytes) -> None:
        """Add those with a ``b"1"``, of pages that follow each other in one block."""
        if bits := int(flags, 2):
            after = _BLOCK - first % _BLOCK - len(flags)
            block = first // _BLOCK
            self._blocks[block] = self._blocks.get(block, 0) | bits << after

    def __and__(self, other: Pages) -> Pages:
        both = Pages()
        for block, bits in self._blocks.items():
            if common := bits & other._blocks.get(block, 0):
                both._blocks[block] = common
        return both

    def __len__(self) -> int:
        return sum(map(int.bit_count, self._blocks.values()))

    def runs(self) -> Generator[tuple[int, int]]:
        """First page and number of pages of those that follow each other."""
        for block, bits in sorted(self._blocks.items()):
            for run in _RUN.finditer(f"{bits:0{_BLOCK}b}"):
                yield block * _BLOCK + run.start(), run.end() - run.start()


def own_pages(most: int) -> Pages:
    """Those that no other process has, of memory that may be written.

    None where they are more than ``most``.
    """
    found = Pages()
    count = 0
    with suppress(OSError), open("/proc/self/pagemap", "rb", buffering=0) as entries:  # noqa: PTH123 -- less memory
        for begin, end in _in_blocks(_writable()):
            size = (end - begin) * _ENTRY_BYTES
            flags = os.pread(entries.fileno(), size, begin * _ENTRY_BYTES)
            owned = flags[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_IS_OWN)
            found.add_flags(begin, owned)
            count += owned.count(b"1")
            if count > most:
                return Pages()
    return found


def _in_blocks(spans: Iterable[tuple[int, int]]) -> Generator[tuple[int, int]]:
    for begin, end in spans:
        while begin < end:
            border = min(begin - begin % _BLOCK + _BLOCK, end)
            yield begin, border
            begin = border


def _writable() -> Generator[tuple[int, int]]:
    """First page, and the one after the last, of private mappings as long as they are not large."""
    left = _MOST_LOOKED_AT
    with open("/proc/self/maps", "rb") as mappings:  # noqa: PTH123 -- less memory
        for line in mappings:
            span, _, rest = line.partition(b" ")
            if rest.startswith((b"rw-p", b"rwxp")):
                begin, end = (int(each, 16) // _PAGE_BYTES for each in span.split(b"-"))
                if end - begin <= left:
                    left -= end - begin
                    yield begin, end


def write_ahead(runs: Sequence[int]) -> None:
    """Have pages to itself, as if each had been written to. Their contents stay as they are.

    Args:
        runs: the first page and the number of pages of each, as of ``Pages.runs``, one after the
            other.
    """
    madvise = _madvise()
    for index in range(0, len(runs), 2):
        size = runs[index + 1] * _PAGE_BYTES
        madvise(runs[index] * _PAGE_BYTES, size, _MADV_POPULATE_WRITE)


@cache
def _madvise() -> Callable[[int, int, int], int]:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return madvise
