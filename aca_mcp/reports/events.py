"""The events of an execution, checked: what comes out of a session is data, never believed.

Pure. The code of a session can forge whatever its kernel would send; the most that gains it is to
end its own session. Everything is bounded before it is looked at: how many outputs there are, how
many representations each has, how long they are.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from aca_mcp.execution import ExecutionError, Output
from aca_mcp.kernel.message_framing import MAX_REPLY_HEADER_BYTES, Frame, FrameDecoder, FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UTF8 = codecs.getincrementaldecoder("utf-8")

MAX_OUTPUTS = 1200
"""Of one execution; a kernel sends fewer."""
_MAX_OUTPUT_BYTES = 40 * 2**20
"""Of all outputs that are held, about."""
_MAX_TYPES = 20
"""Representations of one output."""
_MAX_NAME_CHARACTERS = 200
_MAX_TEXT_CHARACTERS = 2**20 + 100
_MAX_TEXT_BYTES = 4 * _MAX_TEXT_CHARACTERS
"""In which so many characters surely are."""
_MAX_REMARKS = 10
_MAX_REMARK_CHARACTERS = 500
_MAX_FILES = 50
_MAX_PATH_CHARACTERS = 4096


@dataclass(slots=True)
class Shown:
    """An output and where it stands."""

    output: Output
    place: int | None
    """The number of the mark behind which it stands; None for the end of what there is."""
    display_id: str
    size: int
    behind: str = ""
    """The display whose further part it is."""


@dataclass(slots=True)
class Report:
    """What a session has told of one execution so far."""

    shown: list[Shown] = field(default_factory=list["Shown"])
    error: ExecutionError | None = None
    files: tuple[str, ...] = ()
    """That the code made or changed."""
    kept_files: tuple[str, ...] = ()
    """That keep originals of outputs."""
    about: Mapping[str, object] = field(default_factory=dict[str, object])
    """The last event, for what else one kind of pool has in it."""
    is_done: bool = False
    max_output_bytes: int = _MAX_OUTPUT_BYTES
    _held: int = 0
    _left_out: int = 0

    def take(self, frame: Frame) -> Shown | None:
        """Read the next event, and return what it adds to what is shown.

        Raises:
            FrameError: it is none.
        """
        header = frame.header
        match header.get("event"):
            case "display":
                return self._display("display", header, frame.blobs)
            case "result":
                return self._display("result", header, frame.blobs)
            case "update":
                self._update(header, frame.blobs)
            case "clear":
                self._clear(_number(header.get("place")))
            case "done":
                self._end(header)
            case _:
                raise FrameError("an event is of no known kind")
        return None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What was displayed, in the order of making; the last says how many are missing."""
        outputs = tuple(each.output for each in self.shown)
        if self._left_out:
            remark = f"{self._left_out:,} displayed values are left out"
            outputs += (Output("display", {}, remarks=(remark,)),)
        return outputs

    def _display(
        self,
        kind: Literal["display", "result"],
        header: Mapping[str, object],
        blobs: Sequence[bytes],
    ) -> Shown | None:
        output, size = _read_output(kind, header, blobs)
        if len(self.shown) >= MAX_OUTPUTS or self._held + size > self.max_output_bytes:
            self._left_out += 1
            return None
        self._held += size
        place = header.get("place")
        name = _short(header.get("display_id", ""))
        shown = Shown(output, None if place is None else _number(place), name, size)
        if behind := _short(header.get("behind", "")):
            self._put_behind(behind, shown)
        else:
            self.shown.append(shown)
        return shown

    def _put_behind(self, display_id: str, shown: Shown) -> None:
        """Have an output stand with a display, as a part of what that shows."""
        shown.behind = display_id
        parts = [
            at for at, each in enumerate(self.shown) if display_id in (each.display_id, each.behind)
        ]
        if parts:
            shown.place = self.shown[parts[-1]].place
        self.shown.insert(parts[-1] + 1 if parts else len(self.shown), shown)

    def _update(self, header: Mapping[str, object], blobs: Sequence[bytes]) -> None:
        name = _short(header.get("display_id", ""))
        same = [each for each in self.shown if name and each.display_id == name]
        if not same:
            # Displayed by earlier code, whose result is out: its new state is news of this one.
            self._display("display", {**header, "place": None}, blobs)
            return
        output, size = _read_output("display", header, blobs)
        for each in same:
            if self._held + size - each.size > self.max_output_bytes:
                self._left_out += 1
                continue
            self._held += size - each.size
            each.output, each.size = output._replace(kind=each.output.kind), size

    def _clear(self, place: int) -> None:
        self.shown = [each for each in self.shown if (each.place or 0) > place]
        self._held = sum(each.size for each in self.shown)
        self._left_out = 0

    def _end(self, header: Mapping[str, object]) -> None:
        error = header.get("error")
        self.error = None if error is None else _read_error(_object(error))
        self.files = _read_paths(header.get("files", []))
        self.kept_files = _read_paths(header.get("kept", []))
        self.about = header
        self.is_done = True


def read_events(data: bytes, report: Report) -> None:
    """Read events that were kept together.

    Raises:
        FrameError: they are none.
    """
    for frame in FrameDecoder(MAX_REPLY_HEADER_BYTES).feed(data):
        report.take(frame)


def _read_output(
    kind: Literal["display", "result"], header: Mapping[str, object], blobs: Sequence[bytes]
) -> tuple[Output, int]:
    data: dict[str, str | bytes] = {}
    attachments = _Attachments(blobs)
    entries = _object(header.get("data"))
    if len(entries) > _MAX_TYPES:
        raise FrameError("an output has too many representations")
    for mime, content in entries.items():
        if isinstance(content, str):
            data[_short(mime)] = clean(content[:_MAX_TEXT_CHARACTERS])
            continue
        data[_short(mime)] = attachments.read(content)
    text = header.get("text", "")
    if not isinstance(text, str):
        text = attachments.read(text)
    remarks = _list(header.get("remarks", []))[:_MAX_REMARKS]
    output = Output(
        kind,
        data,
        text=clean(text[:_MAX_TEXT_CHARACTERS]) if isinstance(text, str) else "",
        remarks=tuple(clean(str(each)[:_MAX_REMARK_CHARACTERS]) for each in remarks),
        late=header.get("late") is True,
    )
    return output, sum(map(len, data.values())) + len(output.text) + 1000


class _Attachments:
    """What the attachments of an event are. Each is decoded once, however often it is named."""

    def __init__(self, blobs: Sequence[bytes]) -> None:
        self._blobs = blobs
        self._texts: dict[int, str] = {}

    def read(self, content: object) -> str | bytes:
        """Bytes, or a text that is too long for a header."""
        match content:
            case {"blob": int(number)} if 0 <= number < len(self._blobs):
                return self._blobs[number]
            case {"text": int(number)} if 0 <= number < len(self._blobs):
                return self._text(number)
            case _:
                raise FrameError("an output has neither text nor an attachment")

    def _text(self, number: int) -> str:
        if number not in self._texts:
            beginning = memoryview(self._blobs[number])[:_MAX_TEXT_BYTES]
            try:
                # Strictly: a kernel sends nothing else, and replacing takes many times as long.
                text = _UTF8().decode(beginning)
            except UnicodeDecodeError as error:
                raise FrameError("a text is not UTF-8") from error
            self._texts[number] = text[:_MAX_TEXT_CHARACTERS]
        return self._texts[number]


def _read_error(error: Mapping[str, object]) -> ExecutionError:
    name, message, traceback = (error.get(key) for key in ("name", "message", "traceback"))
    if not (isinstance(name, str) and isinstance(message, str) and isinstance(traceback, str)):
        raise FrameError("an error has no name, message and traceback")
    hint, module = error.get("hint", ""), error.get("missing_module", "")
    return ExecutionError(
        clean(name),
        clean(message),
        clean(traceback),
        clean(hint[:_MAX_REMARK_CHARACTERS]) if isinstance(hint, str) else "",
        _short(module) if isinstance(module, str) else "",
    )


def _read_paths(paths: object) -> tuple[str, ...]:
    found: list[str] = []
    for path in _list(paths)[:_MAX_FILES]:
        if not isinstance(path, str) or len(path) > _MAX_PATH_CHARACTERS:
            raise FrameError("a file has no path")
        found.append(clean(path))
    return tuple(found)


def _short(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME_CHARACTERS:
        raise FrameError("a name is too long")
    return clean(value)


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**32:
        raise FrameError("a place is not a number")
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FrameError("a report has something else where an object belongs")
    return cast("dict[str, object]", value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise FrameError("a report has something else where a list belongs")
    return cast("list[object]", value)


def clean(text: str) -> str:
    """Lone surrogates cannot be encoded again; they are shown as escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
