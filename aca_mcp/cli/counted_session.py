"""A session in which a person's code runs beside code of ours, and only theirs is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import anyio

from aca_mcp.errors import ExecutionOutcomeUnknownError, SessionPoolError
from aca_mcp.execution import first_line, was_not_begun
from aca_mcp.unrecorded_code import unrecorded

if TYPE_CHECKING:
    from aca_mcp.execution import Rollback
    from aca_mcp.pool import Execution, OutputCallback
    from aca_mcp.session import PythonSession


class Setback(NamedTuple):
    """What became of a person's earlier code, where a result of ours was the first to tell it."""

    lost: str | None
    """Why the session that it ran in is gone: a clause."""
    rollback: Rollback | None
    """That of the session, as a person counts."""


class CountedSession:
    """Runs code in a session, and tells what a crash took back as a person would count.

    Args:
        session: where to run it. Nobody else runs code there.
    """

    def __init__(self, session: PythonSession) -> None:
        self.session = session
        """Itself, for what is not run."""
        self._ran: list[str] = []
        """What the session has run: the person's by its first line, ours as an empty one."""
        self._setbacks: list[Setback] = []

    @property
    def number(self) -> int:
        """Of the person's next code, as the session's own history has it."""
        return 1 + sum(map(bool, self._ran))

    def take_setbacks(self) -> list[Setback]:
        """Those that nobody was told of, the oldest first. A pool tells each once."""
        taken, self._setbacks = self._setbacks, []
        return taken

    async def execute(
        self, code: str, *, timeout_seconds: float, on_output: OutputCallback
    ) -> Execution:
        """Run a person's code; as ``PythonSession.execute``."""
        return await self._run(code, first_line(code), timeout_seconds, on_output)

    async def execute_unrecorded(self, code: str, *, timeout_seconds: float) -> Execution:
        """Run code that is not the person's, and leaves no trace of itself.

        What its result tells of theirs is left to ``take_setbacks``.
        """
        try:
            execution = await self._run(unrecorded(code), "", timeout_seconds)
        except anyio.get_cancelled_exc_class():
            if (rollback := self.session.cancelling_took_back) is not None:
                self._set_back(None, self._took_back(rollback))
            raise
        self._set_back(execution.lost_before, execution.rollback)
        return execution._replace(lost_before=None, rollback=None)

    def _set_back(self, lost: str | None, rollback: Rollback | None) -> None:
        if rollback is not None and not rollback.executions:
            rollback = None  # it was our code alone
        if lost is not None or rollback is not None:
            self._setbacks.append(Setback(lost, rollback))

    async def _run(
        self,
        code: str,
        line: str,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        self._ran.append(line)
        try:
            execution = await self.session.execute(
                code, timeout_seconds=timeout_seconds, on_output=on_output
            )
        except ExecutionOutcomeUnknownError:
            raise  # it may have run
        except SessionPoolError:
            self._ran.pop()
            raise
        return self._counted(execution)

    def _counted(self, execution: Execution) -> Execution:
        """Take note of what has become of what ran, this execution last."""
        if execution.lost_before is not None:
            del self._ran[:-1]
        if was_not_begun(execution):
            self._ran.pop()
        if execution.session_lost is not None:
            self._ran.clear()
        if execution.rollback is None:
            return execution
        return execution._replace(rollback=self._took_back(execution.rollback))

    def _took_back(self, rollback: Rollback) -> Rollback:
        """Forget what is undone by it; the same, as a person counts."""
        undone = list(filter(None, self._ran[-rollback.executions :]))
        del self._ran[-rollback.executions :]
        return rollback._replace(executions=len(undone), begins=undone[0] if undone else "")
