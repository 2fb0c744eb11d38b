"""What an instance prints, in frames that are neither many nor late."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from aca_mcp.kernel.frames import Frame

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
        self._pending: list[bytes] = []
        self._size = 0
        self._something = threading.Event()
        threading.Thread(target=self._keep_flushing, daemon=True).start()

    def write(self, stream: str, data: bytes) -> None:
        """Take what was written to ``stdout`` or ``stderr``."""
        with self._lock:
            if stream != self._stream:
                self._flush()
                self._stream = stream
            self._pending.append(data)
            self._size += len(data)
            if self._size > _MOST_BYTES:
                self._flush()
        self._something.set()

    def flush(self) -> None:
        """Send what is left."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
            self._send(Frame({"output": self._stream}, (data,)))

    def _keep_flushing(self) -> None:
        while True:
            self._something.wait()
            self._something.clear()
            time.sleep(_LATEST_SECONDS)
            self.flush()
