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
_FILE_TOO_LARGE = "File too large"
_DISK_IS_FULL = "No space left on device"
# In words, since numbers of errors are other ones in WebAssembly.


def execution_of(
    outcome: Outcome,
    printed: Printed,
    *,
    duration_seconds: float,
    started_session: bool,
    lost_before: str | None,
    timeout_seconds: float,
    memory_bytes: int,
    disk_bytes: int,
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
        disk_bytes: the same for its files.
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
        return replace(execution, error=_with_hint(execution.error, memory_bytes, disk_bytes))
    return replace(execution, session_lost=None, rollback=outcome.rollback)


def _with_hint(
    error: ExecutionError | None, memory_bytes: int, disk_bytes: int
) -> ExecutionError | None:
    """An error that may come of a limit, with the figure and the setting."""
    if error is None or error.hint:
        return error
    if error.name == "MemoryError" or error.message.startswith(_BEYOND_ADDRESSES):
        hint = (
            f"A session in WebAssembly has at most {memory_bytes // 2**20:,} MiB of memory "
            "(ACA_MCP_LOCAL_MEMORY_MIB; never more than 4 GiB). Work on parts, or on smaller types."
        )
    elif _FILE_TOO_LARGE in error.message:
        hint = (
            f"The session's files may have {disk_bytes // 2**20:,} MiB together "
            "(ACA_MCP_LOCAL_DISK_MIB), and one of them no more than that. Delete what is not "
            "needed, or write less."
        )
    elif _DISK_IS_FULL in error.message:
        hint = (
            "The disk of the machine is full, though the session's files may have "
            f"{disk_bytes // 2**20:,} MiB (ACA_MCP_LOCAL_DISK_MIB). Delete what is not needed."
        )
    else:
        return error
    return replace(error, hint=hint)
