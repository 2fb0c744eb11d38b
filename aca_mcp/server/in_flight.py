"""What is under way, so that a server that is stopped can let it finish."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator


class InFlight:
    """Counts requests and calls that are being served."""

    def __init__(self) -> None:
        """Begin with none."""
        self._running = 0
        self._none: anyio.Event | None = None
        """There once somebody waits for the end of all of them."""

    @property
    def running(self) -> int:
        """How many there are."""
        return self._running

    @contextmanager
    def track(self) -> Generator[None]:
        """Count one for as long as the block lasts."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if self._none is not None and not self._running:
                self._none.set()

    async def finished(self, *, within_seconds: float) -> bool:
        """Wait until nothing goes on. False if that took too long."""
        with anyio.move_on_after(within_seconds):
            while self._running:
                self._none = anyio.Event()
                await self._none.wait()
        return not self._running
