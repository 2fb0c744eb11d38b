"""The order in which streams were written, as far as a session could count it."""

from __future__ import annotations

from aca_mcp.execution import StreamText
from aca_mcp.reports.stream_order import Counted, in_order


def parts(
    stdout: str, *counted: Counted, stderr: str = "", value_place: int | None = None
) -> list[tuple[int, str]]:
    streams = in_order(StreamText(stdout), StreamText(stderr), counted, value_place)
    texts = {"stdout": streams.stdout, "stderr": streams.stderr}
    reached = dict.fromkeys(texts, 0)
    found: list[tuple[int, str]] = []
    for piece in streams.pieces:
        start = reached[piece.stream]
        reached[piece.stream] = start + piece.characters
        found.append((piece.place, texts[piece.stream].part(start, reached[piece.stream])))
    return found


def test_counted_text_is_divided_where_it_was_counted() -> None:
    first, second = Counted(0, "stdout", 2, "a\n", ""), Counted(1, "stdout", 3, "bc\n", "")
    assert parts("a\nbc\n", first, second) == [(0, "a\n"), (1, "bc\n")]


def test_text_of_other_processes_does_not_move_what_was_counted() -> None:
    first = Counted(0, "stdout", 8, "printed\n", "")
    second = Counted(1, "stdout", 5, "then\n", "")
    assert parts("printed\nfrom a child\nthen\n", first, second) == [
        (0, "printed\n"),
        (1, "from a child\nthen\n"),
    ]


def test_lines_of_other_processes_within_a_piece_leave_it_whole() -> None:
    first = Counted(0, "stdout", 9, "one\ntwo 2\n", "")
    second = Counted(1, "stdout", 5, "then\n", "")
    assert parts("one\na child\ntwo 2\nthen\n", first, second) == [
        (0, "one\na child\ntwo 2\n"),
        (1, "then\n"),
    ]


def test_what_did_not_reach_the_stream_takes_nothing_of_it() -> None:
    elsewhere = Counted(0, "stdout", 5, "mine\n", "")
    there = Counted(1, "stdout", 6, "there\n", "")
    assert parts("from a child\nthere\n", elsewhere, there) == [(1, "from a child\nthere\n")]


def test_what_earlier_code_printed_comes_with_its_text_beside_the_stream() -> None:
    thread = Counted(0, "stdout", 0, "late 0\nlate 1\nlate 2\n", "late")
    now = Counted(0, "stdout", 4, "now\n", "")
    streams = in_order(StreamText("now\n"), StreamText(), [thread, now])
    assert [(piece.characters, piece.late) for piece in streams.pieces] == [(21, True), (4, False)]
    assert streams.stdout.text == "late 0\nlate 1\nlate 2\nnow\n"


def test_what_nobody_counted_at_the_end_stands_before_the_value() -> None:
    first, late = Counted(0, "stdout", 2, "a\n", ""), Counted(3, "stdout", 2, "b\n", "")
    assert parts("a\nchild\n", first, stderr="e\n", value_place=3) == [
        (0, "a\n"),
        (2, "child\n"),
        (2, "e\n"),
    ]
    assert parts("child\n", value_place=1) == [(0, "child\n")]
    assert parts("a\nb\nchild\n", first, late, value_place=3)[-1] == (3, "child\n")
    assert parts("a\nchild\n", first) == [(0, "a\n")]


def test_what_was_cleared_is_not_there() -> None:
    gone, kept = Counted(0, "stdout", 4, "", "cleared"), Counted(2, "stdout", 2, "2\n", "")
    assert in_order(StreamText("0\n1\n2\n"), StreamText(), [gone, kept]).stdout.text == "2\n"


def test_a_stream_that_the_service_cut_ends_where_it_was_cut() -> None:
    cut = StreamText("abcd", cut=True)
    streams = in_order(cut, StreamText(), [Counted(0, "stdout", 100, "x", "")])
    assert streams.stdout.text == "abcd\n[... the session pool did not keep the rest ...]"
