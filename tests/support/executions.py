"""Executions as a pool tells of them, where a test needs no pool."""

from __future__ import annotations

from typing import Any

from aca_mcp.execution import Execution, ExecutionStatus, Output, StreamText


def executed(*outputs: Output, stdout: str = "", stderr: str = "", **more: Any) -> Execution:
    """Code that ran, in half a second; well, unless it had an error or its session was lost.

    Args:
        outputs: what it displayed.
        stdout: what it printed there.
        stderr: what it printed there.
        more: further fields.
    """
    failed = more.get("error") or more.get("session_lost")
    made = Execution(
        execution_id="1",
        status=ExecutionStatus.FAILED if failed else ExecutionStatus.SUCCEEDED,
        stdout=StreamText(stdout, total_bytes=len(stdout.encode())),
        stderr=StreamText(stderr, total_bytes=len(stderr.encode())),
        outputs=outputs,
        error=None,
        duration_seconds=0.5,
        started_session=False,
    )
    return made._replace(**more)
