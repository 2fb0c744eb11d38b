"""Which pages a process shares with its copy, and which not any more: by real forks."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from aca_mcp.kernel.memory_pages import Pages, own_pages, write_ahead

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

ROOT = Path(__file__).parents[2]
PAGES = 24
SIZE = mmap.PAGESIZE
pages = st.sets(st.integers(0, PAGES - 1))


def pages_of(numbers: Iterable[int]) -> Pages:
    found = Pages()
    for number in numbers:
        found.add_flags(number, b"1")
    return found


def numbers_of(found: Pages) -> list[int]:
    return [each for first, count in found.runs() for each in range(first, first + count)]


def runs_of(numbers: Iterable[int]) -> list[int]:
    return list(chain.from_iterable(pages_of(numbers).runs()))


@contextmanager
def copy_of_this_process() -> Generator[None]:
    """There, and waiting, in the block."""
    reader, writer = os.pipe()
    copy = os.fork()
    if copy == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    try:
        yield
    finally:
        os.close(writer)
        os.waitpid(copy, 0)


numbers = st.frozensets(st.integers(0, 2000) | st.integers(0, 2**40))


@given(numbers, numbers)
def test_a_set_of_pages_is_a_set_of_numbers(first: frozenset[int], second: frozenset[int]) -> None:
    assert numbers_of(pages_of(first)) == sorted(first)
    assert len(pages_of(first)) == len(first)
    assert numbers_of(pages_of(first) & pages_of(second)) == sorted(first & second)


@given(written=pages, ahead=pages)
@settings(max_examples=15)
def test_pages_are_its_own_once_they_are_written_to_or_copied_ahead(
    written: set[int], ahead: set[int]
) -> None:
    """And hold what they held."""
    memory = mmap.mmap(-1, PAGES * SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory)) // SIZE

    def own() -> set[int]:
        return {
            page - first for page in numbers_of(own_pages(2**20)) if first <= page < first + PAGES
        }

    for page in range(PAGES):
        memory[page * SIZE] = page
    assert own() == set(range(PAGES))
    with copy_of_this_process():
        assert own() == set()
        for page in written:
            memory[page * SIZE + 1] = 1
        assert own() == written
        write_ahead(runs_of(first + page for page in ahead))
        assert own() == written | ahead
    assert [memory[page * SIZE] for page in range(PAGES)] == list(range(PAGES))
    assert {page for page in range(PAGES) if memory[page * SIZE + 1]} == written


def test_pages_that_are_not_there_are_passed_over() -> None:
    """Code may have freed them."""
    write_ahead(runs_of({0, 1, 2**40}))


def test_memory_that_is_shared_on_purpose_is_nobodys_own() -> None:
    memory = mmap.mmap(-1, PAGES * SIZE)
    memory[0] = 1
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory)) // SIZE
    assert set(numbers_of(own_pages(2**20))).isdisjoint(range(first, first + PAGES))


LARGER = """
import mmap
from aca_mcp.kernel.memory_pages import Pages, own_pages

there = len(own_pages(2**20))
assert own_pages(there + 1000)
memory = mmap.mmap(-1, 2000 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.write(b"a" * len(memory))
assert not own_pages(there + 1000)
"""


def test_who_has_more_to_itself_than_is_asked_for_is_told_of_none() -> None:
    """In a process of its own: this one may be large, and give memory back meanwhile."""
    subprocess.run([sys.executable, "-c", LARGER], cwd=ROOT, timeout=30, check=True)
