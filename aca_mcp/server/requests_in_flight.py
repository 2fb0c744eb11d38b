"""What is under way, so that a server that is stopped can let it finish."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext


class InFlight:
    """Counts requests and calls that are being served."""

    def __init__(self) -> None:
        self._running = 0
        self._none = anyio.Event()
        """Set when nothing runs; another one as soon as something does."""
        self._none.set()

    @property
    def running(self) -> int:
        """How many there are."""
        return self._running

    @contextmanager
    def track(self) -> Generator[None]:
        """Count one for as long as the block lasts."""
        if not self._running:
            self._none = anyio.Event()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._none.set()

    async def middleware(
        self, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Of an MCP server: count each call of a tool."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        with self.track():
            return await call_next(ctx)

    async def finished(self, *, within_seconds: float) -> bool:
        """Wait until nothing goes on. False if that took too long."""
        with anyio.move_on_after(within_seconds):
            while self._running:
                await self._none.wait()
        return not self._running
