"""What a request to a session has printed and shown so far, as its process tells it in frames."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Literal

from aca_mcp.embedded.output import BoundedOutput
from aca_mcp.kernel.frames import Frame, FrameError
from aca_mcp.kernel.streams import CLEARED, STDERR, STDOUT, new_token
from aca_mcp.pool import OutputChunk
from aca_mcp.reports.events import Report

if TYPE_CHECKING:
    from aca_mcp.pool import OutputCallback


class Printed:
    """What a request has printed and shown so far."""

    def __init__(self, max_output_bytes: int, on_output: OutputCallback | None) -> None:
        self.report = Report()
        self._token = new_token()
        self.stdout = BoundedOutput("stdout", max_output_bytes, self._token)
        self.stderr = BoundedOutput("stderr", max_output_bytes, self._token)
        self._place = 0
        self._on_output = on_output
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": make("replace"), "stderr": make("replace")}

    def take(self, frame: Frame) -> None:
        """Take an event, or what was written to ``stdout`` or ``stderr``.

        Raises:
            FrameError: it is neither.
        """
        match frame:
            case Frame({"event": _}):
                self.report.take(frame)
            case Frame({"output": "stdout", "place": int(place)}, [data]):
                is_clear = frame.header.get("clear") is True
                self._mark(place, CLEARED if is_clear else STDOUT)
                if is_clear:  # of what is displayed, too
                    self.report.take(Frame({"event": "clear", "place": place}))
                self._write("stdout", data)
            case Frame({"output": "stderr", "place": int(place)}, [data]):
                self._mark(place, STDERR)
                self._write("stderr", data)
            case _:
                raise FrameError("it is of no known kind")

    def _mark(self, place: int, kind: bytes) -> None:
        if not self._place < place < 2**32:
            return
        self._place = place
        for stream in (self.stdout, self.stderr):
            stream.write(self._token + kind + place.to_bytes(4, "big"))

    def _write(self, name: Literal["stdout", "stderr"], data: bytes) -> None:
        (self.stdout if name == "stdout" else self.stderr).write(data)
        if self._on_output is not None and (text := self._decoders[name].decode(data)):
            self._on_output(OutputChunk(name, text))
