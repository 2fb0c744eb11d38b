"""What an instance prints, in frames that are neither many nor late, with the places in it.

A place is a number that grows where something is displayed, where text goes on in the other stream,
and where what came before is to be forgotten.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from aca_mcp.kernel.message_framing import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

_LATEST_SECONDS = 0.03
_MOST_BYTES = 256 * 1024


class Printing:
    """Collects what is written to two streams, and sends it on in the order of writing.

    Each write of the instance comes here, a line at a time or less; a frame for each would cost
    more than what is printed.

    Args:
        send: takes a frame. Called by one thread at a time.
    """

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._stream = ""
        self._place = 0
        self._clear_pending = False
        self._pending: list[bytes] = []
        self._size = 0
        self._something = threading.Event()
        threading.Thread(target=self._keep_flushing, daemon=True).start()

    def begin(self) -> None:
        """Another execution: places begin anew."""
        self._stream = ""
        self._place = 0
        self._clear_pending = False

    def write(self, stream: str, data: bytes) -> None:
        """Take what was written to ``stdout`` or ``stderr``."""
        with self._lock:
            if self._clear_pending:
                self._clear()
            if stream != self._stream:
                self._flush()
                if self._stream:
                    self._place += 1
                self._stream = stream
            self._pending.append(data)
            self._size += len(data)
            if self._size > _MOST_BYTES:
                self._flush()
        self._something.set()

    def mark(self, kind: str) -> int:
        """Note a place; its number.

        Args:
            kind: ``display`` of something, ``clear`` what was written, or ``clear-next`` to do
                so when more is.
        """
        with self._lock:
            self._flush()
            if kind == "clear-next":
                self._clear_pending = True
            elif kind == "clear" or self._clear_pending:
                self._clear()
            if kind == "display":
                self._place += 1
            return self._place

    def flush(self) -> None:
        """Send what is left."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
            self._send(Frame({"output": self._stream, "place": self._place}, (data,)))

    def _clear(self) -> None:
        self._flush()
        self._clear_pending = False
        self._place += 1
        self._send(Frame({"output": "stdout", "place": self._place, "clear": True}, (b"",)))

    def _keep_flushing(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            time.sleep(_LATEST_SECONDS)
            self.flush()
