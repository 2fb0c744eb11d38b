"""The turn of a session: it runs one piece of code at a time, and whoever comes meanwhile waits.

Knows nothing of what runs, nor of what a session is.
"""

from __future__ import annotations

import enum
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Waited(enum.Enum):
    """What came of waiting for a turn."""

    TAKEN = enum.auto()
    """It is the caller's."""
    TOO_LATE = enum.auto()
    """Earlier code still ran at the deadline."""
    SESSION_ENDED = enum.auto()
    """Earlier code, or somebody else, has ended the session meanwhile."""


class Turn:
    """Of one session; first come, first served.

    A session can end while somebody waits for it, so whether it is still there is looked at again
    when the turn has come.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._session_ended = False

    @property
    def is_taken(self) -> bool:
        """Whether code runs now."""
        return self._lock.locked()

    def end(self) -> None:
        """Let everybody who waits, and who comes, know that the session is gone."""
        self._session_ended = True

    @asynccontextmanager
    async def take(self, deadline: float) -> AsyncGenerator[Waited]:
        """Have the turn for as long as the context lasts, if it comes.

        Args:
            deadline: when waiting ends, on anyio's clock. A turn that is free is taken even so.
        """
        if not await self._acquired(deadline):
            yield Waited.TOO_LATE
            return
        try:
            yield Waited.SESSION_ENDED if self._session_ended else Waited.TAKEN
        finally:
            self._lock.release()

    async def _acquired(self, deadline: float) -> bool:
        try:
            self._lock.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.CancelScope(deadline=deadline) as waiting:
                await self._lock.acquire()
            return not waiting.cancelled_caught
        return True
