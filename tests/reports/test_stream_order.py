"""The order in which streams were written, as far as a session could count it."""

from __future__ import annotations

from aca_mcp.execution import StreamText
from aca_mcp.reports.stream_order import Counted, in_order


def parts(stdout: str, *counted: Counted, stderr: str = "") -> list[tuple[int, str]]:
    streams = in_order(StreamText(stdout), StreamText(stderr), counted)
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


def test_what_was_cleared_is_not_there() -> None:
    gone, kept = Counted(0, "stdout", 4, "", "cleared"), Counted(2, "stdout", 2, "2\n", "")
    assert in_order(StreamText("0\n1\n2\n"), StreamText(), [gone, kept]).stdout.text == "2\n"


def test_a_stream_that_the_service_cut_ends_where_it_was_cut() -> None:
    cut = StreamText("abcd", cut=True)
    streams = in_order(cut, StreamText(), [Counted(0, "stdout", 100, "x", "")])
    assert streams.stdout.text == "abcd\n[... the session pool did not keep the rest ...]"
