"""How a request to a session ended, as the ``Execution`` that callers see. Pure."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from aca_mcp.kernel.frames import FrameError
from aca_mcp.local.replies import INTERFERED
from aca_mcp.pool import Execution, ExecutionError, ExecutionStatus
from aca_mcp.reports.building import ExecutionContext, build_execution
from aca_mcp.reports.counted import counted_pieces, in_order
from aca_mcp.reports.events import Report, read_reply

if TYPE_CHECKING:
    from aca_mcp.wasm.process import Outcome, Printed

KEPT = "variables are as they were before it, and files that it wrote are kept"


def execution_of(
    outcome: Outcome,
    printed: Printed,
    *,
    duration_seconds: float,
    started_session: bool,
    lost_before: str | None,
    timeout_seconds: float,
) -> Execution:
    """Put together what a run of code came to."""
    report, died = Report(), outcome.died
    if outcome.reply is not None:
        try:
            report = read_reply(outcome.reply)
        except FrameError:
            report, died = Report(), INTERFERED
    context = ExecutionContext(
        execution_id=secrets.token_hex(16),
        timeout_seconds=timeout_seconds,
        duration_seconds=duration_seconds,
        started_session=started_session,
        lost_before=lost_before,
        stopped=outcome.stopped,
        died=died,
    )
    stdout, stderr = printed.stdout.text(), printed.stderr.text()
    execution = build_execution(report, in_order(stdout, stderr, counted_pieces(report)), context)
    if outcome.restored is None:
        return execution
    if outcome.stopped == "timeout":
        name, message = "TimeoutError", f"the code was stopped after {timeout_seconds:g} seconds"
        status = ExecutionStatus.TIMED_OUT
    elif outcome.stopped == "interrupt":
        name, message = "KeyboardInterrupt", "the code was stopped on request"
        status = ExecutionStatus.CANCELED
    else:
        name, message = "SystemError", f"the code crashed the interpreter ({outcome.restored})"
        status = ExecutionStatus.FAILED
    message = f"{message}; {KEPT}"
    error = ExecutionError(name, message, f"{name}: {message}")
    return replace(execution, status=status, error=error)
