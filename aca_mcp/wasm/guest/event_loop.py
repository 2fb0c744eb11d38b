"""asyncio where there are neither sockets nor threads: a loop whose only events are its timers."""

from __future__ import annotations

import asyncio
import time
from asyncio import base_events


class _Timers:
    """What a loop waits with: nothing is ever ready before its time."""

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            # Whoever is waited for could only be another thread, and there is none.
            raise RuntimeError("this waits for something that can never happen")
        if timeout > 0:
            time.sleep(timeout)
        return []


class TimerLoop(base_events.BaseEventLoop):
    """An event loop of timers and callbacks: tasks, sleeps, locks and queues work."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Timers()

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else could wake the loop."""


def install() -> None:
    """Make it the loop of everything that asks asyncio for one."""
    asyncio.events.new_event_loop = asyncio.new_event_loop = TimerLoop
