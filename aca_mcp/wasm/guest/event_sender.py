"""Tells the process around the instance what is shown, and has it note where in the text that is.

It sees what is written to stdout and stderr, by compiled code too, so it keeps the count.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from aca_mcp.kernel.message_framing import Frame, encode
from aca_mcp.kernel.text_streams import (
    TextStream,
    can_be_written_to,
    current_streams,
    flush_streams,
)
from aca_mcp.kernel.timeline import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class EventSender:
    """Streams and sink of each execution of one session.

    Args:
        exchange: sends bytes to the process around the instance and returns its answer.
    """

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange = exchange
        self._own = (_opened(1), _opened(2))
        self._take_over()

    def begin(self, old_threads: frozenset[int]) -> None:
        """Prepare for an execution: streams that code closed or lost are there again."""
        if not can_be_written_to((*current_streams(), *self._own)):
            if not can_be_written_to(self._own):
                self._own = (_opened(1), _opened(2))
            self._take_over()

    def flush(self) -> None:
        """Send what is still in Python's buffers."""
        flush_streams(self._own)

    def place(self) -> int:
        """Note that something is displayed now."""
        return self._mark("display")

    def clear(self) -> int:
        """Note that what was written so far is to be forgotten."""
        return self._mark("clear")

    def clear_before_next(self) -> None:
        """Do so as soon as something is written or displayed."""
        self._mark("clear-next")

    def emit(self, event: Mapping[str, object], blobs: Sequence[bytes]) -> None:
        """Tell an event."""
        self._exchange(encoded(event, blobs))

    def _take_over(self) -> None:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = self._own  # pyright: ignore[reportAttributeAccessIssue, reportConstantRedefinition] -- ours from here on

    def _mark(self, kind: str) -> int:
        self.flush()
        return int(self._exchange(encode(Frame({"mark": kind}))) or b"0")


def _opened(descriptor: int) -> TextStream:
    return TextStream(io.FileIO(descriptor, "wb", closefd=False))
