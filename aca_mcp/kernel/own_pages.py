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
    from collections.abc import Callable, Generator, Iterable

_PAGE_BYTES = mmap.PAGESIZE
_ENTRY_BYTES = 8
_MOST_LOOKED_AT = 2**17
"""Pages: 512 MiB of them, for which it takes some milliseconds."""
_MADV_POPULATE_WRITE = 23

_PRESENT, _OF_FILE, _EXCLUSIVE = 0x80, 0x20, 0x01
"""In the last byte of an entry: bits 63, 61 and 56."""
_IS_OWN = bytes(
    flags & (_PRESENT | _OF_FILE | _EXCLUSIVE) == _PRESENT | _EXCLUSIVE for flags in range(256)
)
_RUN = re.compile(b"\1+")


def own_pages(most: int) -> frozenset[int]:
    """Numbers of the pages that no other process has, of memory that may be written.

    None where they are more than ``most``.
    """
    found: set[int] = set()
    with suppress(OSError), open("/proc/self/pagemap", "rb", buffering=0) as entries:  # noqa: PTH123 -- less memory
        for first, count in _writable():
            flags = os.pread(entries.fileno(), count * _ENTRY_BYTES, first * _ENTRY_BYTES)
            owned = flags[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_IS_OWN)
            if len(found) + owned.count(1) > most:
                return frozenset()
            for run in _RUN.finditer(owned):
                found.update(range(first + run.start(), first + run.end()))
    return frozenset(found)


def _writable() -> Generator[tuple[int, int]]:
    """First page and number of pages of each private mapping, as long as they are not too many."""
    left = _MOST_LOOKED_AT
    with open("/proc/self/maps", "rb") as mappings:  # noqa: PTH123 -- less memory
        for line in mappings:
            span, _, rest = line.partition(b" ")
            if rest.startswith((b"rw-p", b"rwxp")):
                begin, end = (int(each, 16) // _PAGE_BYTES for each in span.split(b"-"))
                if end - begin <= left:
                    left -= end - begin
                    yield begin, end - begin


def write_ahead(pages: Iterable[int]) -> None:
    """Have pages to itself, as if each had been written to. Their contents stay as they are."""
    madvise = _madvise()
    for first, count in _runs(sorted(pages)):
        madvise(first * _PAGE_BYTES, count * _PAGE_BYTES, _MADV_POPULATE_WRITE)


@cache
def _madvise() -> Callable[[int, int, int], int]:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return madvise


def _runs(pages: list[int]) -> Generator[tuple[int, int]]:
    begin = 0
    for index in range(1, len(pages) + 1):
        if index == len(pages) or pages[index] != pages[index - 1] + 1:
            yield pages[begin], index - begin
            begin = index
