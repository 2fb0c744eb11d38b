"""Hostile text: what a session wrote must neither mislead a reader nor flood a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.results.text import clean, cut, fold, show_name


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ended\nnext line", "\nnext line"),
        ("\x9b31mred", "31mred"),
        ("a\x00b\x07c\x1fd\x7f", "abcd"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("kept\r\nkept too\r\n", "kept\nkept too\n"),
        ("done\r", "done"),
        ("a\vb\fc", "a\n b\n  c"),
        ("\x1b7old\x1b8new\n\x1b[sold\x1b[uhe", "new\nhed"),
        (
            "abcdef\x1b[3D\x1b[P|\nabcdef\x1b[4D\x1b[2@|\nabcdef\x1b[4D\x1b[2X|",
            "abc|f\nab| cdef\nab| ef",
        ),
        ("one\ntwo\nthree\x1b[2A\x1b[Lnew\ngone\x1b[M", "new\ntwo\nthree"),
        ("kept\x1b[?1049ha whole page\x1b[5;5Hmore\x1b[?1049l too", "kept too"),
        ("low\n\x1b[1dhigh\n\x1bMHIGH", "HIGH"),
        ("\x1bMabove\rA", "Above"),
        ("all of it\x1bcnew", "new"),
        ("safe\u202eexe.txt", "safe\\u202eexe.txt"),
        ("half \ud800 pair", "half \\ud800 pair"),
        ("שלום, naïve 🎉", "שלום, naïve 🎉"),
    ],
)
def test_text_is_shown_as_a_terminal_would_leave_it(written: str, shown: str) -> None:
    assert clean(written) == shown


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from("\x1b[]\r\n\x07;0m")))
def test_cleaned_text_can_be_encoded_and_has_no_controls(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not any(ord(character) < 32 and character not in "\n\t" for character in cleaned)
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("data/sales 2026.csv", "data/sales 2026.csv"),
        ("größe.txt", "größe.txt"),
        ("a\nb", r"'a\nb'"),
        ("\x1b[31mred", r"'\x1b[31mred'"),
        ("safe\u202etxt.exe", r"'safe\u202etxt.exe'"),
        ("trailing ", "'trailing '"),
    ],
)
def test_names_are_shown_on_one_line(name: str, shown: str) -> None:
    assert show_name(name) == shown


def test_text_that_fits_is_not_cut() -> None:
    assert cut("12345", 5) == "12345"


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = "\n".join(f"line {number}" for number in range(1000))
    shown = cut(text, 1000, "; all of it is in a.txt")
    lines = shown.splitlines()
    assert lines[0] == "line 0"
    assert lines[-1] == "line 999"
    (between,) = [line for line in lines if line.startswith("[")]
    assert between.endswith(" bytes left out; all of it is in a.txt ...]")
    assert all(line in text for line in lines if line is not between)  # only whole lines
    assert len(shown.encode()) < 1000 + len(between) + 2


@given(st.text(min_size=50), st.integers(1, 100))
def test_what_is_left_fits_and_the_count_is_true(text: str, room: int) -> None:
    shown = cut(text, room)
    if shown != text:
        missing = int(
            shown.rpartition(" bytes left out")[0].rpartition("[... ")[2].replace(",", "")
        )
        remark = len(f"\n[... {missing:,} bytes left out ...]\n")
        assert len(shown.encode()) <= room + remark
        # A line that was cut off takes its newline with it, at the beginning and at the end.
        assert len(text.encode()) - missing + remark - len(shown.encode()) in (0, 1, 2)


WARNING = "x.py:3: UserWarning: low\n  warn('low')"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n" * 300 + "b", "a\n[the line above 300 times in all]\nb"),
        ("a\n" * 5 + "b", "a\n" * 5 + "b"),
        ("\n" * 300 + "b", "\n" * 300 + "b"),
        ("\n".join([WARNING] * 40), f"{WARNING}\n[the 2 lines above 40 times in all]"),
        ("a\n\n" * 9 + "a", "a\n\n[the 2 lines above 9 times in all]\na"),
        ("\n".join("abcdefgh" * 30), "a\nb\nc\nd\ne\nf\ng\nh\n[the 8 lines above 30 times in all]"),
        ("1\n2\n3\n" * 7 + "1\n2", "1\n2\n3\n[the 3 lines above 7 times in all]\n1\n2"),
    ],
)
def test_what_comes_again_and_again_is_shown_once_and_counted(text: str, shown: str) -> None:
    assert fold(text) == shown


@given(st.lists(st.sampled_from(["", "a", "b", " "]), max_size=60))
def test_nothing_but_repetitions_is_left_out(lines: list[str]) -> None:
    unfolded: list[str] = []
    for line in fold("\n".join(lines)).split("\n"):
        if told := re.fullmatch(r"\[the (?:line|(\d+) lines) above (\d+) times in all\]", line):
            unfolded += unfolded[-int(told[1] or 1) :] * (int(told[2]) - 1)
        else:
            unfolded.append(line)
    assert unfolded == (lines or [""])
