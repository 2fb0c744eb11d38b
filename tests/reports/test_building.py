"""How an execution ended and in which order it showed things, as callers see it."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from aca_mcp.execution import (
    Execution,
    ExecutionError,
    ExecutionStatus,
    Output,
    Span,
    StreamPart,
    StreamText,
    not_begun,
)
from aca_mcp.kernel.message_framing import Frame
from aca_mcp.reports.building import ExecutionContext, Piece, Streams, build_execution
from aca_mcp.reports.events import Report
from tests.support.executions import executed

RAISED = ExecutionError("KeyboardInterrupt", "", "Traceback (most recent call last):\nline 3")


def ended(
    error: ExecutionError | None = None,
    stopped: Literal["timeout", "interrupt"] | None = None,
    died: str | None = None,
    report: Report | None = None,
    streams: Streams | None = None,
) -> Execution:
    report = report or Report()
    report.error = error
    context = ExecutionContext(
        execution_id="1",
        timeout_seconds=2.5,
        duration_seconds=1.5,
        started_session=True,
        lost_before="it crashed",
        stopped=stopped,
        died=died,
    )
    streams = streams or Streams(StreamText("out", total_bytes=3), StreamText(), ())
    return build_execution(report, streams, context)


@pytest.mark.parametrize(
    ("error", "stopped", "died", "status"),
    [
        (None, None, None, ExecutionStatus.SUCCEEDED),
        (RAISED, None, None, ExecutionStatus.FAILED),
        (None, None, "it crashed", ExecutionStatus.FAILED),
        (RAISED, "interrupt", None, ExecutionStatus.CANCELED),
        (None, "interrupt", "it would not stop", ExecutionStatus.CANCELED),
        # It was done before the interrupt came.
        (None, "interrupt", None, ExecutionStatus.SUCCEEDED),
        (RAISED, "timeout", None, ExecutionStatus.TIMED_OUT),
        (None, "timeout", None, ExecutionStatus.TIMED_OUT),
        (None, "timeout", "it would not stop", ExecutionStatus.TIMED_OUT),
    ],
)
def test_the_status_says_how_it_ended(
    error: ExecutionError | None,
    stopped: Literal["timeout", "interrupt"] | None,
    died: str | None,
    status: ExecutionStatus,
) -> None:
    execution = ended(error, stopped, died)
    assert (execution.status, execution.session_lost) == (status, died)


def test_everything_else_is_passed_on() -> None:
    execution = ended()
    assert execution.stdout.text == "out"
    assert execution.duration_seconds == 1.5
    assert execution.started_session
    assert execution.lost_before == "it crashed"


def test_a_timeout_says_where_the_code_was_and_that_the_session_is_kept() -> None:
    error = ended(RAISED, "timeout").error
    assert error is not None
    assert error.name == "TimeoutError"
    assert (
        error.message == "the code was interrupted after 2.5 seconds; variables and files are kept"
    )
    assert error.traceback == f"{RAISED.traceback}\nTimeoutError: {error.message}"


def test_a_timeout_that_came_too_late_says_the_same() -> None:
    error = ended(None, "timeout").error
    assert error is not None
    assert error.traceback == f"TimeoutError: {error.message}"


def test_code_that_was_not_begun_says_so() -> None:
    execution = not_begun(3)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert execution.error is not None
    assert "still ran after 3 seconds, so this code was not started" in execution.error.message


def display(place: int | None, text: str, kind: str = "display") -> Frame:
    return Frame({"event": kind, "place": place, "data": {"text/plain": text}})


def timeline(execution: Execution) -> list[Any]:
    return [
        item.data["text/plain"] if isinstance(item, Output) else (item.stream, item.text)
        for item in execution.timeline
    ]


def test_outputs_stand_where_their_marks_are() -> None:
    report = Report()
    for frame in (display(1, "one"), display(3, "two"), display(None, "end", "result")):
        report.take(frame)
    streams = Streams(
        StreamText("abcd"),
        StreamText("xy"),
        (
            Piece(0, "stdout", 1),
            Piece(1, "stdout", 1),
            Piece(2, "stderr", 2),
            Piece(3, "stdout", 2),
        ),
    )
    assert timeline(ended(report=report, streams=streams)) == [
        ("stdout", "a"),
        "one",
        ("stdout", "b"),
        ("stderr", "xy"),
        "two",
        ("stdout", "cd"),
        "end",
    ]


def test_places_that_go_backwards_do_not_change_the_order_of_outputs() -> None:
    report = Report()
    for frame in (display(5, "one"), display(2, "two"), display(None, "three"), display(1, "four")):
        report.take(frame)
    execution = ended(report=report, streams=Streams(StreamText("a"), StreamText(), ()))
    shown = [item.data["text/plain"] for item in execution.timeline if isinstance(item, Output)]
    assert shown == ["one", "two", "three", "four"]


def test_what_is_not_placed_comes_last() -> None:
    output = Output("result", {"text/plain": "v"})
    execution = executed(output, stdout="ab", stderr="c", order=(Span("stdout", 1),))
    assert timeline(execution) == [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), "v"]


def test_the_line_for_what_is_missing_stands_where_it_is_missing() -> None:
    text = StreamText("head", "tail", total_bytes=100, omitted_bytes=92)
    order = (Span("stdout", 2), Span("stdout", 4), Span("stdout", 2))
    execution = executed(order=order)._replace(stdout=text)
    parts = [item.text for item in execution.timeline if isinstance(item, StreamPart)]
    assert parts == ["he", "ad\n[... 92 bytes not kept ...]\nta", "il"]
    assert "".join(parts) == text.text
