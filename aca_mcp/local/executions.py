"""How a request to a kernel ended, as the ``Execution`` that callers see. Pure."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal, Protocol

from aca_mcp.kernel.frames import FrameError
from aca_mcp.local.replies import INTERFERED, ExecutionReply, parse_execution
from aca_mcp.pool import Execution, ExecutionError, ExecutionStatus, StreamText

if TYPE_CHECKING:
    from aca_mcp.kernel.frames import Frame


class RequestOutcome(Protocol):
    """How a request to a kernel ended, whichever pool it belongs to."""

    @property
    def reply(self) -> Frame | None:
        """None when there is none."""
        ...

    @property
    def stopped(self) -> Literal["timeout", "interrupt"] | None:
        """Why it was interrupted, if it was."""
        ...

    @property
    def died(self) -> str | None:
        """Why the session is gone, if it is: a clause."""
        ...


def build_execution(
    outcome: RequestOutcome,
    stdout: StreamText,
    stderr: StreamText,
    *,
    duration_seconds: float,
    started_session: bool,
    lost_before: str | None,
    timeout_seconds: float,
) -> Execution:
    """Put together what a run of code came to."""
    reply, died = ExecutionReply((), None), outcome.died
    if outcome.reply is not None:
        try:
            reply = parse_execution(outcome.reply)
        except FrameError:
            died = INTERFERED
    status = _status(outcome, reply, died)
    error = reply.error
    if status is ExecutionStatus.TIMED_OUT and died is None:
        error = _timed_out(error, timeout_seconds)
    return Execution(
        execution_id=secrets.token_hex(16),
        status=status,
        stdout=stdout,
        stderr=stderr,
        outputs=reply.outputs,
        error=error,
        duration_seconds=duration_seconds,
        started_session=started_session,
        lost_before=lost_before,
        session_lost=died,
        files=() if died else reply.files,
    )


def _status(outcome: RequestOutcome, reply: ExecutionReply, died: str | None) -> ExecutionStatus:
    if outcome.stopped == "timeout":
        return ExecutionStatus.TIMED_OUT
    if outcome.stopped == "interrupt" and (died or reply.error is not None):
        return ExecutionStatus.CANCELED
    if died is not None or reply.error is not None:
        return ExecutionStatus.FAILED
    return ExecutionStatus.SUCCEEDED


def _timed_out(error: ExecutionError | None, timeout_seconds: float) -> ExecutionError:
    message = f"the code was interrupted after {timeout_seconds:g} seconds; the session is kept"
    where = f"{error.traceback}\n" if error is not None else ""
    return ExecutionError("TimeoutError", message, f"{where}TimeoutError: {message}")
