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
    from aca_mcp.pool import Execution, ExecutionError
    from aca_mcp.wasm.process import Outcome
    from aca_mcp.wasm.request_output import Printed

_BEYOND_ADDRESSES = "Maximum allowed dimension exceeded"
"""What numpy says of arrays with more bytes than 32 bits can count."""


def execution_of(
    outcome: Outcome,
    printed: Printed,
    *,
    duration_seconds: float,
    started_session: bool,
    lost_before: str | None,
    timeout_seconds: float,
    memory_bytes: int,
) -> Execution:
    """Put together what a run of code came to.

    Args:
        outcome: how the request ended.
        printed: what was told before.
        duration_seconds: how long it took.
        started_session: the session was new.
        lost_before: why the one before is gone, if its user has not been told.
        timeout_seconds: what the caller gave it.
        memory_bytes: what a session may have.
    """
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
        return replace(execution, error=_with_hint(execution.error, memory_bytes))
    return replace(execution, session_lost=None, rollback=outcome.rollback)


def _with_hint(error: ExecutionError | None, memory_bytes: int) -> ExecutionError | None:
    """An error that may come of the limit of memory, with the figure and the setting."""
    if error is None or error.hint:
        return error
    if error.name != "MemoryError" and not error.message.startswith(_BEYOND_ADDRESSES):
        return error
    hint = (
        f"A session in WebAssembly has at most {memory_bytes // 2**20:,} MiB of memory "
        "(ACA_MCP_LOCAL_MEMORY_MIB; never more than 4 GiB). Work on parts, or on smaller types."
    )
    return replace(error, hint=hint)
