"""Progress notifications while code runs: what it prints, and that it still runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import anyio

from aca_mcp.background_tasks import background_tasks
from aca_mcp.server.results.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aca_mcp.pool import OutputCallback, OutputChunk

    Report = Callable[[float, None, str], Awaitable[None]]
    """Sends a notification: seconds since the beginning, no total, and a message."""

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)

MIN_INTERVAL_SECONDS = 0.25
_MAX_CHARACTERS = 2000
"""Of one notification: the last that was printed. The result has all of it."""


class _Recent:
    """What was printed since the last notification, its end only."""

    def __init__(self) -> None:
        self.changed = anyio.Event()
        self._text = ""

    def add(self, chunk: OutputChunk) -> None:
        if not chunk.text:
            return
        # Memory stays bounded however much is printed between two notifications.
        self._text = (self._text + chunk.text)[-2 * _MAX_CHARACTERS :]
        self.changed.set()

    def take(self) -> str:
        self.changed = anyio.Event()
        text, self._text = self._text, ""
        return clean(text).strip("\n")[-_MAX_CHARACTERS:]


async def run_with_progress(
    run: Callable[[OutputCallback], Awaitable[Result]],
    report: Report,
    *,
    heartbeat_seconds: float = 10,
) -> Result:
    """Run code, reporting its output at most four times a second, and now and then anyway.

    Args:
        run: executes the code, given a callback for its output.
        report: sends one notification. If it fails, none is sent any more, and the code goes on.
        heartbeat_seconds: from one notification to the next while nothing is printed.

    Raises:
        SessionPoolError: as ``run`` does.
    """
    recent = _Recent()
    begun = anyio.current_time()

    async def notify() -> None:
        while True:
            with anyio.move_on_after(heartbeat_seconds):
                await recent.changed.wait()
            seconds = anyio.current_time() - begun
            message = recent.take() or f"running for {seconds:.0f} s"
            try:
                await report(seconds, None, message)
            except Exception as error:  # nobody hears it any more; the code goes on all the same
                _logger.info("Progress is not reported any more: %s", type(error).__name__)
                return
            await anyio.sleep(MIN_INTERVAL_SECONDS)

    async with background_tasks() as tasks:
        tasks.start_soon(notify)
        return await run(recent.add)
