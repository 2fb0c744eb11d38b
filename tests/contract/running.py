"""Code run in a session of a pool, and what a model is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.pool import ExecutionStatus
from aca_mcp.server.results.report import report

if TYPE_CHECKING:
    from aca_mcp.pool import Execution, SessionPool


async def run(pool: SessionPool, identifier: str, code: str) -> Execution:
    execution = await pool.execute(identifier, code, timeout_seconds=40)
    assert execution.session_lost is None
    return execution


async def shown(pool: SessionPool, identifier: str, code: str) -> str:
    execution = await run(pool, identifier, code)
    assert execution.status is ExecutionStatus.SUCCEEDED, execution.error
    return report(execution).text
