"""What a request to a session has printed and shown so far, within bounds."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from aca_mcp.embedded.bounded_output import BoundedOutput, Mark, streams_of
from aca_mcp.embedded.live_output import LiveOutput
from aca_mcp.reports.events import Report

if TYPE_CHECKING:
    from aca_mcp.execution import StreamName
    from aca_mcp.kernel.message_framing import Frame
    from aca_mcp.pool import OutputCallback
    from aca_mcp.reports.building import Streams


_UTF8 = codecs.getincrementaldecoder("utf-8")


class HeardStream:
    """What came by one stream: kept within a bound, and told as it comes."""

    def __init__(self, name: StreamName, kept: BoundedOutput, live: LiveOutput | None) -> None:
        self._name: StreamName = name
        self.kept = kept
        self._live = live
        self._decoder: codecs.IncrementalDecoder | None = None
        """There once something has come."""

    def take(self, data: bytes) -> None:
        """Take bytes as they came, marks among them."""
        came = self.kept.write(data)
        if self._live is None:
            return
        self._decoder = self._decoder or _UTF8("replace")
        for each in came:
            if isinstance(each, Mark):
                self._live.mark(self._name, each.number, each.kind)
            else:
                self._live.print(self._name, self._decoder.decode(each))

    def finish(self) -> None:
        """No more will come."""
        self.kept.finish()
        if self._live is not None and self._decoder is not None:
            self._live.print(self._name, self._decoder.decode(b"", final=True))


class RequestOutput:
    """What one request has printed and shown.

    Args:
        token: what marks in its streams begin with; empty where there are none.
        max_bytes: kept of each stream.
        on_output: told what is printed and displayed, as it comes.
    """

    def __init__(self, token: bytes, max_bytes: int, on_output: OutputCallback | None) -> None:
        self.report = Report()
        self._live = None if on_output is None else LiveOutput(on_output)
        self.stdout = HeardStream("stdout", BoundedOutput("stdout", max_bytes, token), self._live)
        self.stderr = HeardStream("stderr", BoundedOutput("stderr", max_bytes, token), self._live)

    def take_event(self, frame: Frame) -> None:
        """Take an event.

        Raises:
            FrameError: it is none.
        """
        shown = self.report.take(frame)
        if shown is not None and self._live is not None:
            self._live.display(shown)

    def finish(self) -> None:
        """No more will come, as far as is known now."""
        self.stdout.finish()
        self.stderr.finish()
        if self._live is not None:
            self._live.tell_all()

    @property
    def streams(self) -> Streams:
        """Both, with their parts in the order of writing as far as it is known."""
        return streams_of(self.stdout.kept, self.stderr.kept)
