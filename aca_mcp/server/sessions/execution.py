"""One execution in a session, from its start to its result.

A call that waits for its code, code in the background and a task are three ways to hold the same
object. Knows nothing of how results are shown, or how long they are kept.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import ExecutionOutcomeUnknownError, InvalidRequestError, SessionPoolError
from aca_mcp.pool import Execution, ExecutionStatus, OutputCallback, OutputChunk, StreamText
from aca_mcp.server.sessions.result_sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.execution import Rollback
    from aca_mcp.session import PythonSession

_logger = logging.getLogger(__name__)

OUTPUT_CHARACTERS = 32_768
"""Of the output so far; the result has all that the pool kept."""
_RUNNING_BYTES = 4 * OUTPUT_CHARACTERS
"""Counted for code that runs, beside the code: its output so far may become this."""


class SessionExecution:
    """One execution in a session. Made by ``SessionExecutions.begin``, and run once.

    Args:
        execution_id: such as ``execution-3``: the session's third.
        code: what to run.
        remark: what the reader of its result must see first.
        in_background: nobody waits for its end.
        is_waiting: whether earlier code of its session still runs.
        on_end: called with it as soon as it has ended.
    """

    def __init__(
        self,
        execution_id: str,
        code: str,
        *,
        remark: str,
        in_background: bool,
        is_waiting: Callable[[SessionExecution], bool],
        on_end: Callable[[SessionExecution], None],
    ) -> None:
        self.id = execution_id
        self.code = code
        self.remark = remark
        self.in_background = in_background
        self.begun_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        self.result: Execution | None = None
        self.failure: SessionPoolError | None = None
        """Why it ended without a result."""
        self.was_cancelled = False
        """By request, wherever that came from."""
        self.rollback: Rollback | None = None
        """By which variables went back at its end, also where it has no result."""
        self.earlier_rollback: Rollback | None = None
        """That of an earlier one whose call was cancelled: nobody has read what it took along."""
        self.is_undone = False
        """Variables have gone back to before it since."""
        self.charged_bytes = 0
        """What the store counts for it."""
        self._code_bytes = sys.getsizeof(code)
        self._is_waiting = is_waiting
        self._on_end = on_end
        self._output = ""
        self._printed = 0
        self._listeners: set[OutputCallback] = set()
        self._begun = time.monotonic()
        self._scope = anyio.CancelScope()
        self._done: anyio.Event | None = None
        """There once somebody waits for its end."""

    @cached_property
    def task(self) -> str:
        """Its name for who asks without saying of which session."""
        return secrets.token_urlsafe(16)

    @property
    def has_ended(self) -> bool:
        """With a result, a failure, or neither if the call that waited for it was cancelled."""
        return self.ended_at is not None

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self._begun

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        if not self.has_ended:
            return self._code_bytes + _RUNNING_BYTES
        return self._code_bytes + (size_of(self.result) if self.result else 0)

    @property
    def output_so_far(self) -> str:
        """The end of what it printed, and a line where the beginning is missing."""
        shown = self._output[-OUTPUT_CHARACTERS:]
        if self._printed == len(shown):
            return shown
        return f"[... {self._printed - len(shown):,} characters before this ...]\n{shown}"

    async def run(
        self,
        session: PythonSession,
        timeout_seconds: float,
        on_output: OutputCallback | None = None,
    ) -> Execution:
        """Run it to its end. The result is whole, and may be more than what is kept of it.

        Args:
            session: where to run it.
            timeout_seconds: when to interrupt it.
            on_output: hears what it prints.

        Raises:
            SessionPoolError: it has none. Whatever else goes wrong becomes one of these.
        """
        if on_output is not None:
            self._listeners.add(on_output)
        try:
            with self._scope:
                self.result = await session.execute(
                    self.code, timeout_seconds=timeout_seconds, on_output=self._take
                )
            if self.result is None:  # its scope was cancelled
                self.was_cancelled = True
                self.result = self._cancelled_result(session)
            whole, self.rollback = self.result, self.result.rollback
        except anyio.get_cancelled_exc_class():
            self.rollback = session.cancelling_took_back
            raise
        except SessionPoolError as error:
            self.failure = error
            raise
        except Exception as error:
            # What is at fault is this server, and it must not end with this one execution.
            kind = type(error).__name__
            _logger.error("An execution met an error of an unexpected kind: %s", kind)
            self.failure = ExecutionOutcomeUnknownError(
                f"Something unexpected went wrong with this execution ({kind}): it may have run, "
                "wholly, partly or not at all. Look at the session's variables and files before "
                "running it again."
            )
            raise self.failure from error
        finally:
            self.ended_at = datetime.now(UTC)
            self._output = ""
            self._listeners.clear()
            if self._done is not None:
                self._done.set()
            self._on_end(self)
        return whole

    async def run_apart(self, session: PythonSession, timeout_seconds: float) -> None:
        """The same where nobody waits for it: what it came to is asked for."""
        with suppress(SessionPoolError):
            await self.run(session, timeout_seconds)

    async def wait(self, seconds: float, *, on_output: OutputCallback | None = None) -> bool:
        """Wait for its end, and hear what it prints meanwhile. True if it has ended."""
        if not self.has_ended:
            listening = {on_output} if on_output is not None else set[OutputCallback]()
            self._listeners |= listening
            self._done = self._done or anyio.Event()
            try:
                with anyio.move_on_after(seconds):
                    await self._done.wait()
            finally:
                self._listeners -= listening
        return self.has_ended

    async def cancel(self, *, within_seconds: float) -> bool:
        """Interrupt it. True if it has ended, by this or before."""
        self._scope.cancel()
        return await self.wait(within_seconds)

    def _take(self, chunk: OutputChunk) -> None:
        self._printed += len(chunk.text)
        self._output += chunk.text
        if len(self._output) > 2 * OUTPUT_CHARACTERS:  # not at each chunk: it is a copy
            self._output = self._output[-OUTPUT_CHARACTERS:]
        for listener in self._listeners:
            listener(chunk)

    def _cancelled_result(self, session: PythonSession) -> Execution:
        if not self._printed and self._is_waiting(self):
            raise InvalidRequestError(
                f"{self.id} was cancelled while it waited for earlier code of its session: "
                "nothing of it was executed."
            )
        ended = "its code could not be interrupted, so it was stopped with the session"
        printed = self.output_so_far
        return Execution(
            execution_id=self.id,
            status=ExecutionStatus.CANCELED,
            stdout=StreamText(printed, total_bytes=len(printed.encode(errors="replace"))),
            stderr=StreamText(),
            outputs=(),
            error=None,
            duration_seconds=self.seconds,
            started_session=False,
            session_lost=None if session.survived_cancelling else ended,
            rollback=session.cancelling_took_back,
        )
