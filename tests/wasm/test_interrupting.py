"""Which words of an instance's memory say that a signal has come: found, or else none."""

from __future__ import annotations

import ctypes
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.wasm.interrupting import SignalWord, SignalWordSearch, note_signal

RUNTIME_BYTES = 4096
START = 256


def memory(words: dict[int, int]) -> ctypes.Array[ctypes.c_char]:
    """Memory with CPython's description of itself at ``START``, and these words after it."""
    data = bytearray(2 * RUNTIME_BYTES)
    data[START : START + 8] = b"xdebugpy"
    struct.pack_into("<Q", data, START + 24, RUNTIME_BYTES)
    for offset, value in words.items():
        struct.pack_into("<I", data, START + offset, value)
    return (ctypes.c_char * len(data)).from_buffer_copy(data)


def found_in(rounds: list[list[dict[int, int]]]) -> tuple[SignalWord, ...]:
    search = SignalWordSearch()
    for words in itertools.chain(*rounds):
        seen = memory(words)
        search.look(ctypes.addressof(seen), len(seen))
    return search.words()


def round_of(noise: int) -> list[dict[int, int]]:
    flags = {400: 1, 800: 1, 1200: 2}
    busy = {1600: noise, 2000: noise % 7}
    return [busy, flags | {1600: noise + 1, 2000: noise % 5}, busy | {1600: noise + 2}]


@given(st.lists(st.integers(0, 2**31), min_size=3, max_size=3, unique=True))
def test_the_three_words_are_found_among_others_that_change(noise: list[int]) -> None:
    found = found_in([round_of(number) for number in noise])
    assert found == () or found == (
        SignalWord(START + 400, 1),
        SignalWord(START + 800, 1),
        SignalWord(START + 1200, 2),
    )


def test_where_it_is_not_certain_which_they_are_there_are_none() -> None:
    moments: list[dict[int, int]] = [{}, {400: 1, 800: 1, 1200: 2, 1600: 4}, {}]
    assert found_in([moments] * 3) == ()
    assert found_in([[{}, {400: 1}, {}]] * 3) == ()
    with pytest.raises(LookupError):
        SignalWordSearch().look(ctypes.addressof(ctypes.create_string_buffer(4096)), 4096)


def test_noting_sets_the_bits_and_leaves_the_others() -> None:
    cells = (ctypes.c_uint32 * 4)(0, 8, 0, 5)
    note_signal((SignalWord(4, 1), SignalWord(12, 2)), ctypes.addressof(cells))
    assert list(cells) == [0, 9, 0, 7]
