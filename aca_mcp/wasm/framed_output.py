"""What a request to a session has printed and shown so far, as its process tells it in frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.embedded.request_output import RequestOutput
from aca_mcp.kernel.message_framing import Frame, FrameError
from aca_mcp.kernel.streams import CLEARED, STDERR, STDOUT, new_token

if TYPE_CHECKING:
    from aca_mcp.pool import OutputCallback


class FramedOutput(RequestOutput):
    """The marks in the streams are made here, from the places that the frames tell."""

    def __init__(self, max_bytes: int, on_output: OutputCallback | None) -> None:
        self._token = new_token()
        self._place = 0
        super().__init__(self._token, max_bytes, on_output)

    def take(self, frame: Frame) -> None:
        """Take an event, or what was written to ``stdout`` or ``stderr``.

        Raises:
            FrameError: it is neither.
        """
        match frame:
            case Frame({"event": _}):
                self.take_event(frame)
                if self._live is not None:
                    self._live.tell_all()  # frames come in the order of making
            case Frame({"output": "stdout", "place": int(place)}, [data]):
                is_clear = frame.header.get("clear") is True
                self._mark(place, CLEARED if is_clear else STDOUT)
                if is_clear:  # of what is displayed, too
                    self.take_event(Frame({"event": "clear", "place": place}))
                self.stdout.take(data)
            case Frame({"output": "stderr", "place": int(place)}, [data]):
                self._mark(place, STDERR)
                self.stderr.take(data)
            case _:
                raise FrameError("it is of no known kind")

    def _mark(self, place: int, kind: bytes) -> None:
        if not self._place < place < 2**32:
            return
        self._place = place
        for stream in (self.stdout, self.stderr):
            stream.take(self._token + kind + place.to_bytes(4, "big"))
