"""What a request to a session has printed and shown so far, within bounds."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from aca_mcp.embedded.bounded_output import BoundedOutput, streams_of
from aca_mcp.pool import OutputCallback, OutputChunk
from aca_mcp.reports.events import Report

if TYPE_CHECKING:
    from aca_mcp.execution import StreamName
    from aca_mcp.reports.building import Streams


_UTF8 = codecs.getincrementaldecoder("utf-8")


class HeardStream:
    """What came by one stream: kept within a bound, and told as it comes."""

    def __init__(self, name: StreamName, kept: BoundedOutput, heard: OutputCallback | None) -> None:
        self._name: StreamName = name
        self.kept = kept
        self._heard = heard
        self._decoder: codecs.IncrementalDecoder | None = None
        """There once something has come."""

    def take(self, data: bytes) -> None:
        """Take bytes as they came, marks among them."""
        data = self.kept.write(data)
        if self._heard is not None:
            self._decoder = self._decoder or _UTF8("replace")
            self._tell(self._heard, self._decoder.decode(data))

    def finish(self) -> None:
        """No more will come."""
        self.kept.finish()
        if self._heard is not None and self._decoder is not None:
            self._tell(self._heard, self._decoder.decode(b"", final=True))

    def _tell(self, heard: OutputCallback, text: str) -> None:
        if text:
            heard(OutputChunk(self._name, text))


class RequestOutput:
    """What one request has printed and shown.

    Args:
        token: what marks in its streams begin with; empty where there are none.
        max_bytes: kept of each stream.
        on_output: told what is printed, as it comes.
    """

    def __init__(self, token: bytes, max_bytes: int, on_output: OutputCallback | None) -> None:
        self.report = Report()
        self.stdout = HeardStream("stdout", BoundedOutput("stdout", max_bytes, token), on_output)
        self.stderr = HeardStream("stderr", BoundedOutput("stderr", max_bytes, token), on_output)

    @property
    def streams(self) -> Streams:
        """Both, with their parts in the order of writing as far as it is known."""
        return streams_of(self.stdout.kept, self.stderr.kept)
