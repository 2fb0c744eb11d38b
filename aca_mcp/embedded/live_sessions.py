"""The sessions in use, by identifier: started when first asked for, ended once.

What may be started and what is to end is the registry's to decide; this module does it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from aca_mcp.embedded.background import guarded
from aca_mcp.embedded.registry import Admission, Registry
from aca_mcp.errors import PoolFullError, PoolUnavailableError
from aca_mcp.pool import check_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class SessionProcess(Protocol):
    """What a session's process must be able to, whichever pool it belongs to."""

    @property
    def has_ended(self) -> bool:
        """Whether it is gone already."""
        ...

    async def why_ended(self) -> str:
        """Free what it had, and say why it ended: a clause."""
        ...

    async def kill(self, why: str | None) -> object:
        """End it; ``why`` is a clause for whoever used it, or None."""
        ...


Kernel = TypeVar("Kernel", bound=SessionProcess)


class Ready(Protocol[Kernel]):
    """Where processes come from."""

    async def take(self) -> Kernel:
        """One that is ready."""
        ...

    def remove_all(self) -> list[Kernel]:
        """Those that nobody took, to be ended."""
        ...


@dataclass(slots=True)
class Session(Generic[Kernel]):
    """A session that somebody asked for. ``kernel`` is there once ``started`` is set."""

    created_at: datetime
    started: anyio.Event = field(default_factory=anyio.Event)
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while code runs: a session runs one piece of code at a time."""
    kernel: Kernel | None = None
    failure: PoolUnavailableError | None = None


@dataclass(frozen=True, slots=True)
class SessionInUse(Generic[Kernel]):
    """A session for the time of one operation."""

    session: Session[Kernel]
    kernel: Kernel
    started: bool
    """This operation started it."""


class LiveSessions(Generic[Kernel]):
    """The sessions of one pool."""

    def __init__(self, registry: Registry, ready: Ready[Kernel]) -> None:
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
        check_identifier(identifier)
        session = self._sessions.get(identifier)
        if session is not None and session.kernel is not None and session.kernel.has_ended:
            await self.end(identifier, await session.kernel.why_ended(), session)
        started = False
        match self.registry.admit(identifier, anyio.current_time()):
            case Admission.FULL:
                raise PoolFullError(
                    f"All {self.registry.max_sessions} sessions of the local pool are in use. "
                    "Nothing was executed. End a session that is not needed, or raise "
                    "ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS."
                )
            case Admission.START:
                started = True
                session = self._sessions[identifier] = Session[Kernel](datetime.now(UTC))
                await self._start(identifier, session)
            case Admission.USE:
                session = self._sessions[identifier]
                await session.started.wait()
        if session.kernel is None:
            raise session.failure or PoolUnavailableError("The session did not start. Try again.")
        self.registry.enter(identifier)
        try:
            yield SessionInUse(session, session.kernel, started)
        finally:
            self.registry.leave(identifier, anyio.current_time())

    async def _start(self, identifier: str, session: Session[Kernel]) -> None:
        try:
            session.kernel = await self._ready.take()
            self.registry.started(identifier, anyio.current_time())
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
        if current.kernel is not None:
            await current.kernel.kill(why or "it was stopped on request")
        return True

    async def end_all(self) -> None:
        """End every session, ready ones too."""
        kernels = [*self._ready.remove_all(), *self.kernels()]
        self._sessions.clear()
        async with anyio.create_task_group() as ending:
            for kernel in kernels:
                ending.start_soon(guarded, kernel.kill, "the pool was closed")


async def acquired(lock: anyio.Lock, deadline: float) -> bool:
    """Wait for a lock until a time of anyio's clock. False if it was not free by then."""
    try:
        lock.acquire_nowait()
    except anyio.WouldBlock:
        with anyio.CancelScope(deadline=deadline) as waiting:
            await lock.acquire()
        return not waiting.cancelled_caught
    return True
