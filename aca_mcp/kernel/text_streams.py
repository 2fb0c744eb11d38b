"""Text streams for stdout and stderr, which stay open when what code puts around them is closed.

Code wraps ``sys.stdout.buffer``, or what ``sys.stdout.detach()`` gives, to choose an encoding. In a
program that happens once. Here the same lines come with the next call too, and the wrapper of the
call before closes, when it is collected, the buffer that both have. Standard library only.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Buffer(io.BufferedWriter):
    def close(self) -> None:
        """Send what there is; ``TextStream.close`` alone closes it."""
        self.flush()


class TextStream(io.TextIOWrapper):
    """Writes text line by line.

    Args:
        raw: writes bytes to a descriptor.
    """

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(
            _Buffer(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )

    def close(self) -> None:
        """Close what writes the bytes."""
        self.flush()
        cast("io.BufferedWriter", self.buffer).raw.close()


def current_streams() -> tuple[object, object]:
    """What code prints to, whatever it has put there; None for what it has deleted."""
    return getattr(sys, "stdout", None), getattr(sys, "stderr", None)


def can_be_written_to(streams: Iterable[object]) -> bool:
    """Whether all of them are there, open, and have a buffer."""
    try:
        return not any(each is None or getattr(each, "closed", False) for each in streams)
    except Exception:  # detached from its buffer, or code's own and not as streams are
        return False


def position_in(stream: object) -> int | None:
    """How far a text in memory, or a file, was written to; None for streams that have no place."""
    if not isinstance(stream, (io.StringIO, io.TextIOWrapper)):
        return None
    try:
        return stream.tell()
    except (OSError, ValueError):
        return None


def flush_streams(own: Iterable[object]) -> None:
    """Send what is still in buffers of Python's: of these streams, and of what is around them."""
    for stream in (*current_streams(), *own):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # code closed it, or its descriptor
                stream.flush()
