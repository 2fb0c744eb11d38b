"""Looks after sessions at intervals, side by side: one that struggles does not hold up others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from aca_mcp.errors import SessionPoolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_logger = logging.getLogger(__name__)

_AT_ONCE = 32
_STRUGGLING_AT_ONCE = 8
"""Of those that failed or took too long the last time; they wait for each other alone."""

SessionT = TypeVar("SessionT")


class Upkeep(Generic[SessionT]):
    """Attends to every session at each interval, unless it is still at it.

    Args:
        sessions: those that there are; hashable.
        attend: does what is to be done for one.
        interval_seconds: from one time to the next.
        patience_seconds: for one session; it is tried again at the next interval.
    """

    def __init__(
        self,
        sessions: Callable[[], Iterable[SessionT]],
        attend: Callable[[SessionT], Awaitable[None]],
        *,
        interval_seconds: float,
        patience_seconds: float = 20,
    ) -> None:
        self._sessions = sessions
        self._attend = attend
        self._interval_seconds = interval_seconds
        self._patience_seconds = patience_seconds
        self._attended: set[SessionT] = set()
        self._struggling: set[SessionT] = set()

    async def run(self) -> None:
        """Do so until cancelled."""
        at_once = anyio.CapacityLimiter(_AT_ONCE)
        struggling_at_once = anyio.CapacityLimiter(_STRUGGLING_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            while True:
                await anyio.sleep(self._interval_seconds)
                sessions = set(self._sessions())
                self._struggling &= sessions
                for session in sessions - self._attended:
                    limiter = struggling_at_once if session in self._struggling else at_once
                    self._attended.add(session)
                    tasks.start_soon(self._attend_to, session, limiter)

    async def _attend_to(self, session: SessionT, limiter: anyio.CapacityLimiter) -> None:
        failure = "it took too long"
        try:
            async with limiter:
                with anyio.move_on_after(self._patience_seconds):
                    await self._attend(session)
                    failure = ""
        except SessionPoolError as error:
            failure = error.message
        except Exception as error:  # whatever is wrong with one session, the others go on
            failure = type(error).__name__
        finally:
            self._attended.discard(session)
        if failure:
            self._struggling.add(session)
            _logger.warning("A session was not kept alive: %s", failure)
        else:
            self._struggling.discard(session)
