"""A session in which a person's code runs beside code of ours, and only theirs is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.execution import first_line
from aca_mcp.unrecorded_code import unrecorded

if TYPE_CHECKING:
    from aca_mcp.pool import Execution, OutputCallback
    from aca_mcp.session import PythonSession


class CountedSession:
    """Runs code in a session, and tells what a crash took back as a person would count.

    Args:
        session: where to run it. Nobody else runs code there.
    """

    def __init__(self, session: PythonSession) -> None:
        self._session = session
        self._ran: list[str] = []
        """What the session has run: the person's by its first line, ours as an empty one."""
        self.number = 1
        """Of the person's next code, as the session's own history has it."""

    async def execute(
        self, code: str, *, timeout_seconds: float, on_output: OutputCallback
    ) -> Execution:
        """Run a person's code; as ``PythonSession.execute``."""
        self.number += 1
        return await self._run(code, first_line(code), timeout_seconds, on_output)

    async def execute_unrecorded(self, code: str, *, timeout_seconds: float) -> Execution:
        """Run code that is not the person's, and leaves no trace of itself."""
        return await self._run(unrecorded(code), "", timeout_seconds)

    async def _run(
        self,
        code: str,
        line: str,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        self._ran.append(line)
        execution = await self._session.execute(
            code, timeout_seconds=timeout_seconds, on_output=on_output
        )
        if execution.session_lost is not None:
            self._ran, self.number = [], 1
        if (rollback := execution.rollback) is None:
            return execution
        undone = list(filter(None, self._ran[-rollback.executions :]))
        del self._ran[-rollback.executions :]
        self.number -= len(undone)
        told = rollback._replace(executions=len(undone), begins=undone[0] if undone else "")
        return execution._replace(rollback=told)
