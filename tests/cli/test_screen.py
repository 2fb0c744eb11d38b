"""What ``aca-mcp exec`` shows of an execution, where no local pool would get it to."""

from __future__ import annotations

import io

import pytest

from aca_mcp.cli.exec import Screen
from aca_mcp.pool import Execution, ExecutionStatus, Output, OutputChunk, StreamText


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


def execution(
    status: ExecutionStatus = ExecutionStatus.SUCCEEDED,
    *outputs: Output,
    stdout: str = "",
    stderr: str = "",
) -> Execution:
    return Execution(
        execution_id="1",
        status=status,
        stdout=StreamText(stdout, total_bytes=len(stdout)),
        stderr=StreamText(stderr, total_bytes=len(stderr)),
        outputs=outputs,
        error=None,
        duration_seconds=0,
        started_session=True,
    )


def test_a_pool_that_tells_nothing_meanwhile_is_shown_at_the_end(
    streams: tuple[io.StringIO, io.StringIO],
) -> None:
    Screen(*streams).show_rest(execution(stdout="out", stderr="err"))
    assert [stream.getvalue() for stream in streams] == ["out", "err"]


def test_what_was_shown_meanwhile_is_not_shown_again(
    streams: tuple[io.StringIO, io.StringIO],
) -> None:
    screen = Screen(*streams)
    screen.show_chunk(OutputChunk("stdout", "out"))
    screen.show_rest(execution(stdout="out", stderr="err"))
    assert [stream.getvalue() for stream in streams] == ["out", "err"]


def test_time_that_is_up_has_its_flag(streams: tuple[io.StringIO, io.StringIO]) -> None:
    Screen(*streams).show_rest(execution(ExecutionStatus.TIMED_OUT))
    assert streams[1].getvalue() == (
        "aca-mcp: time is up; --execution-timeout-seconds gives more\n"
    )


def test_a_value_without_text_is_left_out(streams: tuple[io.StringIO, io.StringIO]) -> None:
    output = Output("display", {"application/octet-stream": b"\0"})
    Screen(*streams).show_rest(execution(ExecutionStatus.SUCCEEDED, output))
    assert [stream.getvalue() for stream in streams] == ["", ""]
