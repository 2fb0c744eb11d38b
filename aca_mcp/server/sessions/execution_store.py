"""The one store of executions: what runs in each session, and what came of it.

What has ended is kept, so that it can be read again, until its session has too much of it, or its
principal, or the server: then the oldest is forgotten. Knows nothing of how results are shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.errors import InvalidRequestError
from aca_mcp.server.sessions.execution import SessionExecution
from aca_mcp.server.sessions.limits import Limits
from aca_mcp.server.sessions.result_sizes import reduced, size_of, without_output
from aca_mcp.server.sessions.undone_executions import taken_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aca_mcp.pool import Execution, Rollback


class Record(NamedTuple):
    """One execution that has a result."""

    id: str
    """Such as ``execution-3``: the session's third."""
    code: str
    execution: Execution
    is_undone: bool = False
    """Variables have gone back to before it since."""


class SessionExecutions:
    """The executions of one session, oldest first. Made by ``ExecutionStore.open``."""

    def __init__(self, store: ExecutionStore, principal: str) -> None:
        self.principal = principal
        self._store = store
        self._executions: dict[str, SessionExecution] = {}
        self._running: dict[str, SessionExecution] = {}
        """Those of them that have not ended, oldest first."""
        self._ended_bytes = 0
        """What the others are charged, all together."""
        self._begun = 0
        self._untold: Rollback | None = None
        """Of one whose call was cancelled, and which took others back; for the next result."""
        self.forgotten = 0
        """How many that had a result are not kept any more."""

    def begin(
        self, code: str, *, remark: str = "", in_background: bool = False
    ) -> SessionExecution:
        """One that is to be run now.

        Args:
            code: what to run.
            remark: what the reader of its result must see first.
            in_background: nobody waits for its end.

        Raises:
            InvalidRequestError: too much is under way.
        """
        most = self._store.limits.in_background
        if in_background and len(self.running_in_background()) >= most:
            raise InvalidRequestError(
                f"{most} executions of this session are under way already. Wait for one "
                "with get_execution, or end one with cancel_execution. Nothing was executed."
            )
        execution = SessionExecution(
            f"execution-{self._begun + 1}",
            code,
            remark=remark,
            in_background=in_background,
            is_waiting=self._is_waiting,
            on_end=self._keep,
        )
        self._store.admit(self.principal, execution)
        self._begun += 1
        self._executions[execution.id] = self._running[execution.id] = execution
        return execution

    def get(self, execution_id: str) -> SessionExecution | None:
        """The one of an id, or None if it is not, or no longer, there."""
        return self._executions.get(execution_id)

    def find_task(self, name: str) -> SessionExecution | None:
        """The same, by its name for who asks without saying of which session."""
        return next((each for each in self._all() if each.task == name), None)

    def running_in_background(self) -> list[SessionExecution]:
        """Those that nobody waits for and that have not ended, oldest first."""
        return [each for each in self._running.values() if each.in_background]

    def ids(self) -> list[str]:
        """Of all that are there, oldest first."""
        return list(self._executions)

    def records(self) -> list[Record]:
        """Those that have a result, oldest first."""
        return [
            Record(each.id, each.code, each.result, each.is_undone)
            for each in self._all()
            if each.result is not None
        ]

    def undo(self, rollback: Rollback) -> None:
        """Note that variables went back to before some of them."""
        for each in taken_back((each for each in self._all() if each.has_ended), rollback):
            each.is_undone = True

    async def cancel(self, execution: SessionExecution) -> bool:
        """Interrupt one. True if it has ended."""
        return await execution.cancel(within_seconds=self._store.limits.cancel_seconds)

    def _is_waiting(self, execution: SessionExecution) -> bool:
        """Whether an earlier one still runs: a session runs one piece of code at a time."""
        return next(iter(self._running.values()), execution) is not execution

    def _keep(self, execution: SessionExecution) -> None:
        """Keep what one has come to, as far as there is room, and forget the oldest."""
        if self._running.pop(execution.id, None) is None:  # its session is gone
            return
        limits = self._store.limits
        self._store.release(self.principal, execution)
        if execution.rollback is not None:
            self.undo(execution.rollback)
        if execution.result is None and execution.failure is None:
            self._forget(execution)  # the call that waited for it was cancelled
            if execution.rollback is not None and execution.rollback.executions > 1:
                self._untold = execution.rollback
            return
        execution.earlier_rollback, self._untold = self._untold, None
        self._charge_ended(execution)
        if execution.result is not None and execution.charged_bytes > limits.session_bytes:
            room = limits.session_bytes - size_of(execution.code)
            execution.result = reduced(execution.result, max(room, 0))
            self._charge_ended(execution)
        if self._ended_bytes > limits.session_bytes:
            self._leave_out_output()
        while self._ended_bytes > limits.session_bytes or self._ended > limits.session_executions:
            self.forget_oldest()
        self._store.make_room(self.principal)

    def _leave_out_output(self) -> None:
        """Keep only the code of the oldest, until there is room; the last keeps its output."""
        ended = [each for each in self._all() if each.has_ended]
        for earlier in ended[:-1]:
            if self._ended_bytes <= self._store.limits.session_bytes:
                break
            if earlier.result is not None:
                earlier.result = without_output(earlier.result)
                self._charge_ended(earlier)

    @property
    def _ended(self) -> int:
        return len(self._executions) - len(self._running)

    def _charge_ended(self, execution: SessionExecution) -> None:
        self._ended_bytes -= execution.charged_bytes
        self._store.charge(self.principal, execution)
        self._ended_bytes += execution.charged_bytes

    def oldest_ended(self) -> SessionExecution | None:
        """The one to forget first."""
        return next((each for each in self._all() if each.has_ended), None)

    def forget_oldest(self) -> None:
        """Forget the one that ended and was begun first."""
        if (oldest := self.oldest_ended()) is not None:
            self.forgotten += oldest.result is not None
            self._forget(oldest)

    def clear(self, *, running: bool = False) -> None:
        """Forget what has ended, and what runs, too, if its end concerns nobody."""
        self.forgotten = 0
        for each in list(self._all()):
            if running or each.has_ended:
                self._forget(each)

    def _forget(self, execution: SessionExecution) -> None:
        del self._executions[execution.id]
        if self._running.pop(execution.id, None) is None:
            self._ended_bytes -= execution.charged_bytes
        self._store.release(self.principal, execution)

    def _all(self) -> Iterator[SessionExecution]:
        return iter(self._executions.values())


class ExecutionStore:
    """The executions of all sessions of one server, within bounds of memory."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._sessions: dict[str, list[SessionExecutions]] = {}
        self._bytes: Counter[str] = Counter()

    @property
    def size_bytes(self) -> int:
        """About what all of them take in memory."""
        return self._bytes.total()

    def open(self, principal: str) -> SessionExecutions:
        """Those of a new session. Give them back with ``close``."""
        session = SessionExecutions(self, principal)
        self._sessions.setdefault(principal, []).append(session)
        return session

    def close(self, session: SessionExecutions) -> None:
        """Forget those of a session that has ended."""
        session.clear(running=True)
        sessions = self._sessions.get(session.principal, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._sessions.pop(session.principal, None)
            del self._bytes[session.principal]

    def admit(self, principal: str, execution: SessionExecution) -> None:
        """Count one that begins.

        Raises:
            InvalidRequestError: what runs takes too much memory already.
        """
        self.charge(principal, execution)
        if not self.make_room(principal):
            self.release(principal, execution)
            raise InvalidRequestError(
                "The code that is under way takes all the memory that this server has for it. "
                "Wait for an execution to end, or cancel one. Nothing was executed."
            )

    def charge(self, principal: str, execution: SessionExecution) -> None:
        """Count one anew, by the memory that it takes now."""
        size = execution.size_bytes
        self._bytes[principal] += size - execution.charged_bytes
        execution.charged_bytes = size

    def release(self, principal: str, execution: SessionExecution) -> None:
        """Count one no longer."""
        self._bytes[principal] -= execution.charged_bytes
        execution.charged_bytes = 0

    def make_room(self, principal: str) -> bool:
        """Forget the oldest until the bounds are kept. False if what runs alone is too much."""
        while self._bytes[principal] > self.limits.principal_bytes:
            if not self._forget_oldest_of(principal):
                return False
        while self.size_bytes > self.limits.server_bytes:
            if not self._forget_oldest_of(max(self._bytes, key=self._bytes.__getitem__)):
                return False
        return True

    def _forget_oldest_of(self, principal: str) -> bool:
        found = [
            (oldest.ended_at, number, session)
            for number, session in enumerate(self._sessions.get(principal, []))
            if (oldest := session.oldest_ended()) is not None and oldest.ended_at is not None
        ]
        if found:
            min(found)[2].forget_oldest()
        return bool(found)
