"""The sessions in use, by identifier: started when first asked for, ended once.

What may be started and what is to end is the registry's to decide; this module does it.
"""

from __future__ import annotations

import math
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic

import anyio

from aca_mcp.background_tasks import guarded
from aca_mcp.embedded.registry import Admission, Registry
from aca_mcp.embedded.session_process import Kernel
from aca_mcp.errors import PoolFullError, PoolUnavailableError
from aca_mcp.pool import check_identifier
from aca_mcp.turn import Turn, Waited

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.embedded.ready_sessions import ReadySessions


@dataclass(slots=True)
class Session(Generic[Kernel]):
    """A session that somebody asked for. ``kernel`` is there once ``started`` is set."""

    created_at: datetime
    started: anyio.Event = field(default_factory=anyio.Event)
    turn: Turn = field(default_factory=Turn)
    kernel: Kernel | None = None
    failure: PoolUnavailableError | None = None


@dataclass(slots=True)
class SessionInUse(Generic[Kernel]):
    """A session for the time of one operation."""

    session: Session[Kernel]
    kernel: Kernel
    started: bool
    """This operation started it."""
    deadline: float = math.inf
    """When what has its turn is to end, on anyio's clock."""


class LiveSessions(Generic[Kernel]):
    """The sessions of one pool."""

    def __init__(self, registry: Registry, ready: ReadySessions[Kernel]) -> None:
        self.registry = registry
        self._ready = ready
        self._sessions: dict[str, Session[Kernel]] = {}

    def get(self, identifier: str) -> Session[Kernel] | None:
        """The session of an identifier, if it has one."""
        return self._sessions.get(identifier)

    def kernels(self) -> list[Kernel]:
        """The processes of all of them."""
        return [session.kernel for session in self._sessions.values() if session.kernel]

    @asynccontextmanager
    async def use(self, identifier: str) -> AsyncGenerator[SessionInUse[Kernel]]:
        """The session of an identifier, started if need be, kept from expiring meanwhile.

        Raises:
            InvalidRequestError: the identifier cannot be one.
            PoolFullError: it would be one too many.
            PoolUnavailableError: it could not be started.
        """
        use = await self._enter(identifier)
        try:
            yield use
        finally:
            self.registry.leave(identifier, time.monotonic())

    async def _enter(self, identifier: str) -> SessionInUse[Kernel]:
        """What ``use`` begins with: the session does not expire until the registry is told."""
        check_identifier(identifier)
        session = self._sessions.get(identifier)
        if session is not None and session.kernel is not None and session.kernel.has_ended:
            await self.end(identifier, await session.kernel.why_ended(), session)
        session, started = await self._admitted(identifier)
        while session.kernel is None:
            if session.failure is not None:
                raise session.failure
            # Who was to start it gave up, and this one waited for it.
            session, started = await self._admitted(identifier)
        self.registry.enter(identifier)
        return SessionInUse(session, session.kernel, started)

    async def _admitted(self, identifier: str) -> tuple[Session[Kernel], bool]:
        """The session of an identifier once its start has ended; whether this is who started it."""
        match self.registry.admit(identifier, time.monotonic()):
            case Admission.FULL:
                raise PoolFullError(
                    f"All {self.registry.max_sessions} sessions of the local pool are in use. "
                    "Nothing was executed. End a session that is not needed, or raise "
                    "ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS."
                )
            case Admission.START:
                session = self._sessions[identifier] = Session[Kernel](datetime.now(UTC))
                await self._start(identifier, session)
                return session, True
            case Admission.USE:
                session = self._sessions[identifier]
                if not session.started.is_set():  # waiting, even for nothing, lets others go first
                    await session.started.wait()
                return session, False

    @asynccontextmanager
    async def take_turn(
        self, identifier: str, seconds: float
    ) -> AsyncGenerator[SessionInUse[Kernel] | None]:
        """The session of an identifier, in which nothing else runs meanwhile.

        Args:
            identifier: the session's.
            seconds: how long earlier code is waited for, and what comes then may take, both
                together. The start of a session does not count.

        Returns:
            The session in use, or None if earlier code still ran after that time.

        Raises:
            SessionPoolError: as ``use``.
        """
        deadline: float | None = None
        while True:
            use = await self._enter(identifier)
            try:
                use.deadline = deadline = deadline or anyio.current_time() + seconds
                async with use.session.turn.take(deadline) as waited:
                    if waited is not Waited.SESSION_ENDED:  # else there is another one by now
                        yield use if waited is Waited.TAKEN else None
                        return
            finally:
                self.registry.leave(identifier, time.monotonic())

    async def _start(self, identifier: str, session: Session[Kernel]) -> None:
        try:
            session.kernel = await self._ready.take()
            self.registry.started(identifier, time.monotonic())
        except PoolUnavailableError as error:
            session.failure = error
            raise
        finally:
            if session.kernel is None:
                self.registry.ended(identifier, None)
                del self._sessions[identifier]
            session.started.set()

    async def end(
        self, identifier: str, why: str | None, session: Session[Kernel] | None = None
    ) -> bool:
        """End the session of an identifier. True if there was one.

        Args:
            identifier: the session's.
            why: a clause for whoever uses the identifier next; None if its user asked for it.
            session: end only this one, not one that came after it.
        """
        current = self._sessions.get(identifier)
        if current is None or (session is not None and current is not session):
            return False
        await current.started.wait()
        if self._sessions.get(identifier) is not current:
            return False
        del self._sessions[identifier]
        self.registry.ended(identifier, why)
        current.turn.end()
        if current.kernel is not None:
            await current.kernel.kill(why or "it was stopped on request")
        return True

    async def end_expired(self) -> None:
        """End those that nobody used for the cooldown."""
        for identifier in self.registry.expired(time.monotonic()):
            idle = f"nobody used it for {self.registry.cooldown_seconds:g} seconds"
            await self.end(identifier, idle)

    async def end_all(self) -> None:
        """End every session, ready ones too."""
        kernels = [*self._ready.remove_all(), *self.kernels()]
        for session in self._sessions.values():
            session.turn.end()
        self._sessions.clear()
        async with anyio.create_task_group() as ending:
            for kernel in kernels:
                ending.start_soon(guarded, kernel.kill, "the pool was closed")
