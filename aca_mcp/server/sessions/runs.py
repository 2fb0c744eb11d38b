"""Executions in the background: begun by one call, asked for and cancelled by others.

Each runs in a task of the server's own and ends with its session at the latest. What it printed so
far is kept within bounds; what it gave is kept in the session's log.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from aca_mcp.errors import InvalidRequestError, SessionPoolError
from aca_mcp.pool import Execution, ExecutionStatus, OutputCallback, OutputChunk, StreamText
from aca_mcp.server.sessions.executions import Record

if TYPE_CHECKING:
    from aca_mcp.server.sessions.executions import ExecutionLog
    from aca_mcp.session import PythonSession

MAX_RUNNING = 8
"""Of one session at once. They run one after the other, so more would only wait."""
MAX_KEPT = 50
"""Of one session, those that have ended and failed included."""
_MAX_CHARACTERS = 32_768
"""Of the output so far; the result has all that the pool kept."""
CANCEL_SECONDS = 20
"""For code to stop; its pool kills it long before."""


class Run:
    """One execution in the background."""

    def __init__(self, run_id: str, code: str, remark: str) -> None:
        """Describe it; ``Runs`` runs it."""
        self.id = run_id
        self.code = code
        self.remark = remark
        """What the reader of its result must see first."""
        self.task = secrets.token_urlsafe(16)
        """Its name for who asks without saying of which session."""
        self.begun_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        self.status: ExecutionStatus | None = None
        """How it ended; None until then, and where there is no result."""
        self.done = anyio.Event()
        self.failure: SessionPoolError | None = None
        """Why there is no result, if there is none."""
        self.listeners: list[OutputCallback] = []
        """Of those who wait for it now and want to see what it prints."""
        self._output = ""
        self._printed = 0
        self._begun = time.monotonic()
        self._scope = anyio.CancelScope()

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self._begun

    @property
    def output_so_far(self) -> str:
        """The end of what it printed, and a line where the beginning is missing."""
        if self._printed == len(self._output):
            return self._output
        missing = self._printed - len(self._output)
        return f"[... {missing:,} characters before this ...]\n{self._output}"

    async def execute(
        self, session: PythonSession, log: ExecutionLog, timeout_seconds: float
    ) -> None:
        """Run it to its end, and leave what it gave in the log."""
        execution: Execution | None = None
        try:
            with self._scope:
                execution = await session.execute(
                    self.code, timeout_seconds=timeout_seconds, on_output=self._take
                )
            if execution is None:
                execution = await self._canceled(session)
            self.status = execution.status
            log.add(Record(self.id, self.code, execution))
        except SessionPoolError as error:
            self.failure = error
        finally:
            self.ended_at = datetime.now(UTC)
            self.done.set()

    async def cancel(self) -> bool:
        """Interrupt it. False if it has ended already, or will not end."""
        if self.done.is_set():
            return False
        self._scope.cancel()
        with anyio.move_on_after(CANCEL_SECONDS):
            await self.done.wait()
        return self.done.is_set()

    def _take(self, chunk: OutputChunk) -> None:
        self._printed += len(chunk.text)
        self._output = (self._output + chunk.text)[-_MAX_CHARACTERS:]
        for listener in self.listeners:
            listener(chunk)

    async def _canceled(self, session: PythonSession) -> Execution:
        ended = (
            None
            if await session.survived_cancelling()
            else "its code could not be interrupted, so it was stopped with the session"
        )
        return Execution(
            self.id,
            ExecutionStatus.CANCELED,
            StreamText(self.output_so_far),
            StreamText(),
            (),
            None,
            self.seconds,
            started_session=False,
            session_lost=ended,
        )


class Runs:
    """The background executions of one session."""

    def __init__(self) -> None:
        """Begin with none."""
        self._runs: dict[str, Run] = {}

    def start(
        self,
        code: str,
        session: PythonSession,
        log: ExecutionLog,
        tasks: anyio.abc.TaskGroup,
        *,
        timeout_seconds: float,
        remark: str = "",
    ) -> Run:
        """Begin one, with a remark on its result if there is one to be made.

        Raises:
            InvalidRequestError: too many are under way.
        """
        if len(self.running) >= MAX_RUNNING:
            raise InvalidRequestError(
                f"{MAX_RUNNING} executions of this session are under way already. Wait for one "
                "with get_execution, or end one with cancel_execution. Nothing was executed."
            )
        while len(self._runs) >= MAX_KEPT:
            del self._runs[next(name for name, run in self._runs.items() if run.done.is_set())]
        run = Run(log.begin(), code, remark)
        self._runs[run.id] = run
        tasks.start_soon(run.execute, session, log, timeout_seconds)
        return run

    @property
    def running(self) -> list[Run]:
        """Those that have not ended, the oldest first."""
        return [run for run in self._runs.values() if not run.done.is_set()]

    def get(self, run_id: str) -> Run | None:
        """The run of an id, or None if it is not, or no longer, there."""
        return self._runs.get(run_id)

    def find_task(self, name: str) -> Run | None:
        """The same, by its name for who asks without saying of which session."""
        return next((run for run in self._runs.values() if run.task == name), None)
