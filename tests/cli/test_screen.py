"""What ``aca-mcp exec`` shows of an execution, where no local pool would get it to."""

from __future__ import annotations

import io
import resource
import signal
from typing import TYPE_CHECKING

import pytest

from aca_mcp.cli.screen import Screen
from aca_mcp.execution import Rollback
from aca_mcp.missing_modules import PackageOffer
from aca_mcp.pool import ExecutionError, ExecutionStatus, Output, OutputChunk, Span
from tests.support.executions import executed

if TYPE_CHECKING:
    from pathlib import Path


Streams = tuple[io.StringIO, io.StringIO]


@pytest.fixture
def streams() -> Streams:
    return io.StringIO(), io.StringIO()


def test_a_pool_that_tells_nothing_meanwhile_is_shown_at_the_end(streams: Streams) -> None:
    Screen(*streams).show_rest(executed(stdout="out", stderr="err"))
    assert [stream.getvalue() for stream in streams] == ["out", "err"]


def test_what_was_shown_meanwhile_is_not_shown_again(streams: Streams) -> None:
    screen = Screen(*streams)
    screen.show_chunk(OutputChunk("stdout", "out"))
    screen.show_rest(executed(stdout="out", stderr="err"))
    assert [stream.getvalue() for stream in streams] == ["out", "err"]


TIME_IS_UP = ExecutionError(
    "TimeoutError", "x", "KeyboardInterrupt\nTimeoutError: interrupted; the session is kept"
)


@pytest.mark.parametrize(
    ("keeps_session", "lost", "told"),
    [
        (False, None, "time is up; --timeout gives more"),
        (True, None, "time is up; variables and files are kept; --timeout gives more"),
        (True, "it would not stop", "time is up; --timeout gives more"),
    ],
)
def test_time_that_is_up_has_its_flag_and_no_session_is_kept_that_is_gone(
    keeps_session: bool, lost: str | None, told: str, streams: Streams
) -> None:
    screen = Screen(*streams, keeps_session=keeps_session)
    up = executed(status=ExecutionStatus.TIMED_OUT, error=TIME_IS_UP, session_lost=lost)
    screen.show_rest(up)
    assert streams[1].getvalue().startswith(f"KeyboardInterrupt\naca-mcp: {told}\n")
    assert ("it would not stop" in streams[1].getvalue()) == (lost is not None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_reaches_a_terminal_that_drives_it_or_turns_text_around() -> None:
    marks = "\x1b\x07\x9b\u061c\u200e\u200f\u202a\u202e\u2066\u2069"
    replaced = "\ufffd" * len(marks)
    terminal, errors, piped = Terminal(), Terminal(), io.StringIO()
    Screen(terminal, errors).show_rest(executed(stdout=f"a{marks}b\n", stderr=marks))
    assert (terminal.getvalue(), errors.getvalue()) == (f"a{replaced}b\n", replaced)
    Screen(piped, errors).show_rest(executed(stdout=marks))
    assert piped.getvalue() == marks


PNG = b"\x89PNG\r\n\x1a\n not really"


def test_one_image_named_many_times_is_saved_once(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = Output("display", {"image/png": PNG, "text/plain": "<Figure>"})
    shown: list[bytes] = []
    screen = Screen(*streams, show_figure=shown.append)
    screen.show_rest(executed(*[output] * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["figure-1.png"]
    assert shown == [PNG]
    assert streams[1].getvalue().count("the same figure as figure-1.png") == 299


def test_the_text_of_a_value_is_shown_beside_its_picture(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    point = "<POINT (0 0)>"
    drawing = Output("result", {"text/plain": point, "image/png": PNG}, text=point)
    Screen(*streams).show_rest(executed(drawing))
    assert streams[0].getvalue() == f"{point}\n"
    assert "saved figure-1.png" in streams[1].getvalue()


def test_who_has_files_in_the_session_alone_is_told_how_to_get_them(streams: Streams) -> None:
    page = Output("display", {"text/plain": "figure"}, remarks=("HTML: outputs/cell-1-1.html",))
    done = executed(page, kept_files=("outputs/cell-1-1.html", "outputs/cell 2.html"))
    screen = Screen(*streams, downloads=["outputs/cell 2.html"])
    screen.show_rest(done)
    screen.show_rest(done._replace(files=("a b.csv",)))
    screen.tell_of_files()
    said = streams[1].getvalue()
    assert said.count("end with the session") == 1
    assert said.endswith("say --download outputs/cell-1-1.html --download 'a b.csv'\n")
    assert "cell 2.html" not in said


def test_files_that_went_with_the_session_are_not_offered(streams: Streams) -> None:
    screen = Screen(*streams)
    screen.show_rest(executed(files=("lost.csv",)))
    screen.show_rest(executed(session_lost="it was ended by SIGKILL"))
    screen.tell_of_files()
    assert "lost.csv" not in streams[1].getvalue()


def test_what_befell_earlier_code_is_said_with_what_it_was(streams: Streams) -> None:
    screen = Screen(*streams)
    screen.show_rest(executed(files=("lost.csv",)))
    screen.tell_setback(None, Rollback("it crashed", 2, "x = 1"))
    screen.tell_setback("its time was over", None)
    screen.show_rest(executed(lost_before="nobody used it", files=("kept.csv",)))
    screen.tell_of_files()
    back, lost, again, left = streams[1].getvalue().splitlines()
    assert back.endswith(
        "it crashed; variables are as before the last 2 executions, from `x = 1` on"
    )
    assert lost.endswith("gone, with its variables and files: its time was over")
    assert again.endswith("gone, with its variables and files: nobody used it")
    assert left.endswith("say --download kept.csv")


def test_what_was_not_there_is_said_to_a_person_too(streams: Streams) -> None:
    done = executed(remarks=("There is no ffmpeg.",), missing_modules=("yaml",))
    Screen(*streams, offer=PackageOffer("index")).show_rest(done)
    assert "aca-mcp: There is no ffmpeg.\naca-mcp: yaml comes with" in streams[1].getvalue()


def test_what_is_not_of_the_code_begins_a_line_wherever_the_code_ended() -> None:
    """Also behind what the other stream wrote, where both are read on one terminal."""
    within = executed(
        Output("result", {"text/plain": "1"}), stdout="ab", error=ExecutionError("E", "m", "E: m")
    )
    out, err = io.StringIO(), io.StringIO()
    Screen(out, err).show_rest(within)
    assert (out.getvalue(), err.getvalue()) == ("ab\n1\n", "E: m\n")
    terminal = Terminal()
    screen = Screen(terminal, terminal, keeps_session=True)
    screen.show_chunk(OutputChunk("stdout", "half"))
    screen.note("told")
    screen.begin()
    screen.show_rest(executed(stdout="for a prompt"))
    assert terminal.getvalue() == "half\naca-mcp: told\nfor a prompt\n"


def test_how_many_figures_are_saved_is_bounded_and_said_once(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = [Output("display", {"image/png": PNG + b"%d" % number}) for number in range(130)]
    Screen(*streams).show_rest(executed(*outputs))
    assert len(list(tmp_path.iterdir())) == 100
    assert streams[1].getvalue().count("further figures are not saved: 100 of them") == 1


def test_a_figure_that_does_not_fit_leaves_no_half_file(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        outputs = Output("display", {"image/png": PNG * 1000}), Output("result", {}, text="42")
        screen = Screen(*streams)
        screen.show_rest(executed(*outputs))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []
    assert screen.is_incomplete
    out, err = (stream.getvalue() for stream in streams)
    assert out == "42\n"  # what comes after it is shown
    assert err == "aca-mcp: figure-1.png cannot be used: File too large.\n"


def test_the_best_text_of_a_value_is_shown_and_all_in_the_order_of_making(streams: Streams) -> None:
    shown = executed(
        Output("display", {"text/markdown": "# Best", "text/plain": "<Markdown>"}),
        Output("display", {"text/html": "<b>x</b>"}, text="x", remarks=("kept as x.html",)),
        stdout="one\ntwo\n",
        error=ExecutionError("E", "m", "E: m", hint="There is no network here."),
        order=(Span("stdout", 4), Span("output"), Span("stdout", 4), Span("output")),
    )
    Screen(*streams).show_rest(shown)
    assert [stream.getvalue() for stream in streams] == [
        "one\n# Best\ntwo\nx\n",
        "aca-mcp: kept as x.html\nE: m\naca-mcp: There is no network here.\n",
    ]


def test_a_value_without_text_is_told_as_that(streams: Streams) -> None:
    output = Output("display", {"application/octet-stream": b"\0"})
    Screen(*streams).show_rest(executed(output))
    assert streams[0].getvalue() == "[a value that only application/octet-stream can show]\n"


def test_markdown_is_laid_out_at_a_terminal_and_as_written_elsewhere(streams: Streams) -> None:
    written = "# Sales\n\n| shop | cups |\n|---|---|\n| a\x1b]0;t\x07 | [1](http://x.y) |\n"
    shown = executed(Output("result", {"text/markdown": written}))
    Screen(*streams).show_rest(shown)
    assert streams[0].getvalue() == written
    terminal = Terminal()
    Screen(terminal, streams[1]).show_rest(shown)
    text = terminal.getvalue()
    assert "Sales" in text
    assert "|---" not in text
    assert "\x1b]" not in text
    assert "http://x.y" in text
