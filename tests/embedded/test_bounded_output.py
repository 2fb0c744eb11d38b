"""What is kept of a stream: a beginning, an end and a true count, within a bound."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.embedded.bounded_output import MAX_MARKS, BoundedOutput, streams_of
from aca_mcp.kernel.streams import CLEARED, DISPLAY, LATE_STDERR, STDERR, STDOUT

TOKEN = b"\0twelve-bytes"
LIMIT = 64
"""Small, so that most streams are longer."""


def kept(*pieces: bytes, limit: int = LIMIT) -> BoundedOutput:
    output = BoundedOutput("stdout", limit, TOKEN)
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
    output = kept(*cut(data, lengths), limit=2 * len(data))
    output.finish()
    found = output.text()
    assert (found.head, found.tail, found.total_bytes) == (text, "", len(data))
    assert found.omitted_bytes == 0


@given(st.text(min_size=LIMIT + 1, max_size=400), st.lists(st.integers(0, 200), max_size=8))
def test_of_what_does_not_fit_head_and_tail_are_kept(text: str, lengths: list[int]) -> None:
    data = text.encode()
    output = kept(*cut(data, lengths))
    output.finish()
    found = output.text()
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
    output = kept(*pieces, limit=limit)
    output.finish()
    found = output.text()
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
    why = "at most 64 are, of each stream (ACA_MCP_LOCAL_MAX_OUTPUT_KIB)"
    assert found.text == f"{'a' * 32}\n[... 5,000 bytes not kept: {why} ...]\n{'c' * 32}"


def test_a_flood_costs_no_memory_past_the_bound() -> None:
    output = BoundedOutput("stdout", 2**16, TOKEN)
    piece = bytes(2**18)
    tracemalloc.start()
    try:
        for _ in range(100):
            output.write(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    output.finish()
    assert output.total == 100 * 2**18
    assert peak < 2**20


def mark(number: int, kind: bytes = DISPLAY) -> bytes:
    return TOKEN + kind + number.to_bytes(4, "big")


def parts(output: BoundedOutput) -> list[tuple[int, str, bool]]:
    """Place, text and lateness of each part."""
    text, pieces = output.parts()
    found: list[tuple[int, str, bool]] = []
    start = 0
    for piece in pieces:
        found.append((piece.place, text.part(start, start + piece.characters), piece.late))
        start += piece.characters
    return found


@given(st.lists(st.integers(0, 40), max_size=12))
def test_marks_are_taken_out_wherever_reading_cuts_them(lengths: list[int]) -> None:
    data = b"one\0" + mark(1) + b"two" + mark(2) + mark(3) + TOKEN[:5] + b"three"
    output = kept(*cut(data, lengths), limit=1000)
    output.finish()
    assert parts(output) == [
        (0, "one\0", False),
        (1, "two", False),
        (3, (TOKEN[:5] + b"three").decode(), False),
    ]
    assert output.total == len(b"one\0twothree") + 5


@given(st.lists(st.integers(0, 40), max_size=12))
def test_what_is_passed_on_has_no_marks(lengths: list[int]) -> None:
    output = kept(limit=1000)
    data = b"one" + mark(1) + b"two"
    came = [each for piece in cut(data, lengths) for each in output.write(piece)]
    passed = b"".join(each for each in came if isinstance(each, bytes))
    assert passed == b"onetwo"


def test_the_beginning_of_a_mark_that_is_none_is_text() -> None:
    output = kept(b"end" + TOKEN[:4], limit=1000)
    assert output.text().text == "end"
    output.finish()
    assert output.text().text == "end" + TOKEN[:4].decode()


def test_what_was_cleared_is_forgotten_with_its_size() -> None:
    output = kept(b"x" * 1000, mark(1, CLEARED), b"y", mark(2), b"z")
    assert parts(output) == [(1, "y", False), (2, "z", False)]
    assert output.text().total_bytes == 2


def test_what_came_before_the_code_began_is_late() -> None:
    output = kept(b"before", limit=1000)
    output.begin()
    output.write(b"now" + mark(1) + b"then")
    assert parts(output) == [(0, "before", True), (0, "now", False), (1, "then", False)]


def test_marks_whose_numbers_begin_anew_end_what_was_before() -> None:
    output = kept(b"a" + mark(7, STDOUT) + b"b" + mark(1) + b"c", limit=1000)
    assert parts(output) == [(0, "ab", True), (1, "c", False)]


def test_parts_of_a_cut_stream_are_of_its_beginning_or_its_end() -> None:
    output = kept(b"a" * 20, mark(1), b"b" * 20, mark(2), b"c" * 100, mark(3), b"d" * 10)
    text, pieces = output.parts()
    assert (text.head, text.tail) == ("a" * 20 + "b" * 12, "c" * 22 + "d" * 10)
    assert [(piece.place, piece.characters) for piece in pieces] == [
        (0, 20),
        (1, 12),
        (2, 22),
        (3, 10),
    ]


def test_forged_marks_without_end_cost_no_memory_without_end() -> None:
    output = kept(limit=1000)
    for number in range(3 * MAX_MARKS):
        output.write(b"x" + mark(number + 1))
    assert len(output.marks) == MAX_MARKS


def test_streams_are_put_in_the_order_of_writing() -> None:
    out, err = kept(limit=1000), BoundedOutput("stderr", 1000, TOKEN)
    out.write(b"1" + mark(1, STDERR) + mark(2, STDOUT) + b"3" + mark(3) + b"5")
    err.write(mark(1, STDERR) + b"2" + mark(2, STDOUT) + mark(3) + mark(4, LATE_STDERR) + b"late")
    order = [(piece.stream, piece.place, piece.late) for piece in streams_of(out, err).pieces]
    assert order == [
        ("stdout", 0, False),
        ("stderr", 1, False),
        ("stdout", 2, False),
        ("stdout", 3, False),
        ("stderr", 4, True),
    ]


def test_what_another_process_writes_to_stderr_comes_after_what_was_printed_there() -> None:
    out, err = kept(b"printed", limit=1000), BoundedOutput("stderr", 1000, TOKEN)
    err.write(b"complained")
    assert [piece.stream for piece in streams_of(out, err).pieces] == ["stdout", "stderr"]
