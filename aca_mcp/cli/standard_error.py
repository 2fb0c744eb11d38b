"""A server's standard error, which holds nobody up when it is not read.

A pipe holds 64 KiB. Whoever starts a server and never reads what it says (as MCP clients may) would
otherwise stop it, with all that it serves, at the first line that does not fit.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_MAX_BYTES = 256 * 1024
"""That wait to be read; what comes after that is left out, and counted."""
_LAST_SECONDS = 1.0
"""For what waits still, when the server ends."""


class UnblockedStream(io.TextIOBase):
    """Text for a descriptor, which a thread of its own writes: nobody else waits for a reader."""

    def __init__(self, descriptor: int) -> None:
        """Write to this descriptor."""
        super().__init__()
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._left_out = 0
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Where the text goes."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a person sees it."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str, /) -> int:
        """Take a text, or leave it out if too much waits."""
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._unsent_bytes + len(data) > _MAX_BYTES:
                self._left_out += 1
                return len(text)
            self._say_what_is_missing()
            self._append(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="stderr", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return len(text)

    def drain(self, *, seconds: float) -> None:
        """Wait until everything is written, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unsent, seconds)

    def _say_what_is_missing(self) -> None:
        if self._left_out:
            said = f"aca-mcp: {self._left_out:,} texts are left out here: nobody read them.\n"
            self._append(said.encode())
            self._left_out = 0

    def _append(self, data: bytes) -> None:
        self._unsent.append(data)
        self._unsent_bytes += len(data)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent)
                data = self._unsent[0]
            _write_all(self._descriptor, data)
            with self._changed:
                self._unsent.popleft()
                self._unsent_bytes -= len(data)
                if not self._unsent:
                    self._say_what_is_missing()
                self._changed.notify_all()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever made the pipe wants it so
            select.select([], [descriptor], [])
        except OSError:  # its reader is gone, or it never was open
            return


@contextmanager
def unblocked_standard_error() -> Generator[None]:
    """While the context lasts, nothing that this process says waits for a reader.

    To be entered before logging is configured. What is not read a second after the end is lost.
    """
    original = sys.stderr
    try:
        stream = UnblockedStream(original.fileno())
    except (AttributeError, OSError, ValueError):  # it is none of the system's
        yield
        return
    original.flush()
    sys.stderr = stream
    try:
        yield
    finally:
        stream.drain(seconds=_LAST_SECONDS)
        sys.stderr = original
