"""What code prints and displays, told while it runs, in the order of making. Pure.

A mark is written to both pipes at once, but they are read one after the other, and what is
displayed comes by another way:

* What stands behind a mark waits until both pipes were read that far.
* Behind the mark of something displayed it waits until that has come.
* A display that may be updated is not told: how it looks in the end is not known yet.
* Nothing waits for ever: code can forge marks, and some displays come with the end alone. What
  waits is bounded; past that it is told as it came.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from aca_mcp.kernel.streams import DISPLAY
from aca_mcp.pool import OutputCallback, OutputChunk

if TYPE_CHECKING:
    from aca_mcp.execution import StreamName
    from aca_mcp.reports.events import Shown

MAX_WAITING_CHARACTERS = 2**16
_MAX_EXPECTED = 4000
"""Marks of things displayed; a kernel makes fewer."""
_LAST = 2**32
"""Behind all marks."""


class LiveOutput:
    """Puts in order what comes of one execution. A step takes no longer if much waits.

    Args:
        heard: told each part of it.
    """

    def __init__(self, heard: OutputCallback) -> None:
        self._heard = heard
        self._reached: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        """The last mark in each stream."""
        self._expected: deque[int] = deque()
        """Marks of what is displayed and has not come, in their order."""
        self._displayed = 0
        """The mark of what was displayed last."""
        self._waiting: list[tuple[int, bool, int, OutputChunk]] = []
        """A heap: the mark that it stands behind, what is displayed before text, as it came."""
        self._came = 0
        self._characters = 0

    def mark(self, stream: StreamName, number: int, kind: bytes) -> None:
        """A mark has come."""
        if number <= self._reached[stream] or len(self._expected) >= _MAX_EXPECTED:
            self.tell_all()  # the next execution begins to count anew
        if kind == DISPLAY and number > max(self._displayed, *self._reached.values()):
            self._expected.append(number)
        self._reached[stream] = number
        self._tell()

    def print(self, stream: StreamName, text: str) -> None:
        """Text has come."""
        if text:
            self._wait(self._reached[stream], OutputChunk(stream, text))
            self._tell()
            if self._characters > MAX_WAITING_CHARACTERS:
                self.tell_all()

    def display(self, shown: Shown) -> None:
        """Something displayed has come; those before it came earlier, or come with the end."""
        place = self._displayed = shown.place or self._displayed
        while self._expected and self._expected[0] <= place:
            self._expected.popleft()
        if shown.output.kind == "display" and not (shown.display_id or shown.behind):
            self._wait(place, OutputChunk("stdout", "", shown.output))
        self._tell()

    def tell_all(self) -> None:
        """Tell what waits: nothing more comes that would stand before it."""
        self._expected.clear()
        self._tell_until(_LAST)

    def _wait(self, place: int, chunk: OutputChunk) -> None:
        self._came += 1
        self._characters += len(chunk.text)
        heappush(self._waiting, (place, chunk.displayed is None, self._came, chunk))

    def _tell(self) -> None:
        last = min(self._reached.values())
        self._tell_until(min(last, self._expected[0] - 1) if self._expected else last)

    def _tell_until(self, last: int) -> None:
        while self._waiting and self._waiting[0][0] <= last:
            *_, chunk = heappop(self._waiting)
            self._characters -= len(chunk.text)
            self._heard(chunk)
