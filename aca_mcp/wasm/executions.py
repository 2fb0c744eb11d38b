"""How a request to a session ended, as the ``Execution`` that callers see. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aca_mcp.local.executions import build_execution
from aca_mcp.pool import Execution, ExecutionError, ExecutionStatus

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
    execution = build_execution(
        outcome,
        printed.stdout.text(),
        printed.stderr.text(),
        duration_seconds=duration_seconds,
        started_session=started_session,
        lost_before=lost_before,
        timeout_seconds=timeout_seconds,
    )
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
