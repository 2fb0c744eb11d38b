"""Signals as they come, also where the event loop cannot handle them by itself."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from types import FrameType

_MOST_UNREAD = 16


@contextmanager
def open_signals(*numbers: signal.Signals) -> Generator[AsyncIterator[signal.Signals]]:
    """Take some signals over for as long as the context lasts. In the main thread."""
    if sys.platform != "win32":
        with anyio.open_signal_receiver(*numbers) as signals:
            yield signals
        return
    to_reader, come = anyio.create_memory_object_stream[signal.Signals](_MOST_UNREAD)

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            to_reader.send_nowait(signal.Signals(number))

    with to_reader, come:
        # The loop is woken by every signal; the handler then runs in its thread.
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield come
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
