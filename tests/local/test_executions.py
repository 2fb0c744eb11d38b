"""How a request ended, as callers see it."""

from __future__ import annotations

from typing import Literal

import pytest

from aca_mcp.kernel.frames import Frame
from aca_mcp.local.executions import build_execution
from aca_mcp.local.kernel_process import KernelOutcome, describe_status
from aca_mcp.pool import Execution, ExecutionStatus, StreamText, not_begun

FINE = Frame({"outputs": [], "error": None})
RAISED = Frame(
    {
        "outputs": [],
        "error": {"name": "KeyboardInterrupt", "message": "", "traceback": "line 3"},
    }
)


def ended(
    reply: Frame | None,
    stopped: Literal["timeout", "interrupt"] | None = None,
    died: str | None = None,
) -> Execution:
    return build_execution(
        KernelOutcome(reply, stopped, died),
        StreamText("out", total_bytes=3),
        StreamText(),
        duration_seconds=1.5,
        started_session=True,
        lost_before="it crashed",
        timeout_seconds=2.5,
    )


@pytest.mark.parametrize(
    ("reply", "stopped", "died", "status"),
    [
        (FINE, None, None, ExecutionStatus.SUCCEEDED),
        (RAISED, None, None, ExecutionStatus.FAILED),
        (None, None, "it crashed", ExecutionStatus.FAILED),
        (RAISED, "interrupt", None, ExecutionStatus.CANCELED),
        (None, "interrupt", "it would not stop", ExecutionStatus.CANCELED),
        # It was done before the interrupt came.
        (FINE, "interrupt", None, ExecutionStatus.SUCCEEDED),
        (RAISED, "timeout", None, ExecutionStatus.TIMED_OUT),
        (FINE, "timeout", None, ExecutionStatus.TIMED_OUT),
        (None, "timeout", "it would not stop", ExecutionStatus.TIMED_OUT),
    ],
)
def test_the_status_says_how_it_ended(
    reply: Frame | None,
    stopped: Literal["timeout", "interrupt"] | None,
    died: str | None,
    status: ExecutionStatus,
) -> None:
    execution = ended(reply, stopped, died)
    assert (execution.status, execution.session_lost) == (status, died)


def test_everything_else_is_passed_on() -> None:
    execution = ended(FINE)
    assert execution.stdout.text == "out"
    assert execution.duration_seconds == 1.5
    assert execution.started_session
    assert execution.lost_before == "it crashed"
    assert execution.execution_id != ended(FINE).execution_id


def test_a_timeout_says_where_the_code_was_and_that_the_session_is_kept() -> None:
    error = ended(RAISED, "timeout").error
    assert error is not None
    assert error.name == "TimeoutError"
    assert error.message == "the code was interrupted after 2.5 seconds; the session is kept"
    assert error.traceback == f"line 3\nTimeoutError: {error.message}"


def test_a_timeout_that_came_too_late_says_the_same() -> None:
    error = ended(FINE, "timeout").error
    assert error is not None
    assert error.traceback == f"TimeoutError: {error.message}"


def test_a_reply_that_makes_no_sense_ends_the_session() -> None:
    execution = ended(Frame({"outputs": 1}))
    assert execution.status is ExecutionStatus.FAILED
    assert execution.session_lost == "its code interfered with the interpreter's own connection"


def test_code_that_was_not_begun_says_so() -> None:
    execution = not_begun(3)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert execution.error is not None
    assert "still ran after 3 seconds, so this code was not started" in execution.error.message


@pytest.mark.parametrize(
    ("status", "clause"),
    [
        (None, "its process ended"),
        (0, "its process ended itself (exit code 0)"),
        (7, "its process ended itself (exit code 7)"),
        (-9, "it was killed, as the system does when memory runs out"),
        (-11, "it crashed (SIGSEGV, a fault in compiled code)"),
        (-31, "it made a system call of another architecture (SIGSYS)"),
        (-6, "it was ended by SIGABRT"),
        (-40, "it was ended by signal 40"),
    ],
)
def test_the_end_of_a_process_is_said_in_a_clause(status: int | None, clause: str) -> None:
    assert describe_status(status) == clause
