"""What is kept of a stream: a beginning, an end and a true count, within a bound."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.local.output import BoundedOutput

LIMIT = 64
"""Small, so that most streams are longer."""


def kept(*pieces: bytes, limit: int = LIMIT) -> BoundedOutput:
    output = BoundedOutput(limit)
    for piece in pieces:
        output.write(piece)
    return output


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]


@given(st.text(max_size=100), st.lists(st.integers(0, 50), max_size=8))
def test_what_fits_is_kept_whole_in_whatever_pieces(text: str, lengths: list[int]) -> None:
    data = text.encode()
    found = kept(*cut(data, lengths), limit=2 * len(data)).text()
    assert (found.head, found.tail, found.total_bytes) == (text, "", len(data))
    assert found.omitted_bytes == 0


@given(st.text(min_size=LIMIT + 1, max_size=400), st.lists(st.integers(0, 200), max_size=8))
def test_of_what_does_not_fit_head_and_tail_are_kept(text: str, lengths: list[int]) -> None:
    data = text.encode()
    found = kept(*cut(data, lengths)).text()
    half = LIMIT // 2
    assert found.total_bytes == len(data)
    assert found.omitted_bytes == len(data) - 2 * half
    assert text.startswith(found.head)
    assert text.endswith(found.tail)
    # A character is at most 4 bytes, and one cut in two is left out.
    assert half - 3 <= len(found.head.encode()) <= half
    assert half - 3 <= len(found.tail.encode()) <= half


@given(st.lists(st.binary(max_size=300), max_size=10), st.integers(0, 2 * LIMIT))
def test_any_bytes_are_text_within_the_bound(pieces: list[bytes], limit: int) -> None:
    found = kept(*pieces, limit=limit).text()
    assert found.total_bytes == sum(map(len, pieces))
    # Each byte that is not UTF-8 is one replacement character.
    assert len(found.head) + len(found.tail) <= limit
    assert 0 <= found.omitted_bytes <= found.total_bytes


def test_a_bound_of_nothing_only_counts() -> None:
    found = kept(b"a lot", limit=0).text()
    assert (found.head, found.tail, found.total_bytes, found.omitted_bytes) == ("", "", 5, 5)


def test_nothing_is_nothing() -> None:
    found = kept().text()
    assert (found.text, found.total_bytes) == ("", 0)


def test_between_head_and_tail_stands_how_much_is_missing() -> None:
    found = kept(b"a" * 32, b"b" * 5000, b"c" * 32).text()
    assert found.text == f"{'a' * 32}\n[... 5,000 bytes not kept ...]\n{'c' * 32}"


def test_a_flood_costs_no_memory_past_the_bound() -> None:
    output = BoundedOutput(2**16)
    piece = bytes(2**18)
    tracemalloc.start()
    try:
        for _ in range(100):
            output.write(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.total == 100 * 2**18
    assert peak < 2**20
