"""How a request to a session ended, as the ``Execution`` that callers see. Pure."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from aca_mcp.embedded.output import streams_of
from aca_mcp.embedded.replies import INTERFERED
from aca_mcp.kernel.frames import FrameError
from aca_mcp.reports.building import ExecutionContext, build_execution

if TYPE_CHECKING:
    from aca_mcp.pool import Execution
    from aca_mcp.wasm.printed import Printed
    from aca_mcp.wasm.process import Outcome


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
    died = outcome.rollback.reason if outcome.rollback is not None else outcome.died
    if outcome.reply is not None:
        try:
            printed.report.take(outcome.reply)
        except FrameError:
            died = INTERFERED
    context = ExecutionContext(
        execution_id=secrets.token_hex(16),
        timeout_seconds=timeout_seconds,
        duration_seconds=duration_seconds,
        started_session=started_session,
        lost_before=lost_before,
        stopped=outcome.stopped,
        died=died,
    )
    for stream in (printed.stdout, printed.stderr):
        stream.finish()
    streams = streams_of(printed.stdout, printed.stderr)
    execution = build_execution(printed.report, streams, context)
    if outcome.rollback is None:
        return execution
    return replace(execution, session_lost=None, rollback=outcome.rollback)
