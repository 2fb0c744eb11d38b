"""What a model is shown of an execution: text and figures, in the order of their making. Pure.

The server writes its own remarks in square brackets. Everything else is what the session wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.missing_modules import NOTHING, PackageOffer, about_missing_module
from aca_mcp.pool import (
    MAX_IMAGE_SIDE,
    Execution,
    ExecutionError,
    ExecutionStatus,
    Output,
    StreamPart,
    before_time_was_up,
    what_is_kept,
)
from aca_mcp.server.results.image_structure import examine
from aca_mcp.server.results.text import clean, fold, fold_all, show_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aca_mcp.pool import Rollback

_TEXTS = dict.fromkeys(("text/markdown", "text/latex", "text/plain", "application/json"))
"""In the order of preference."""
_NO_IMAGE = "[an image that is not whole, or of too many pixels; save it to a file instead]"
_LATE = "[from earlier code that still ran]"
_LONG_CHARACTERS = 50_000
_CHARACTERS_OF_ONE = 500
"""That take about as long as a displayed value, or a step of the timeline, beside its text."""
_MAX_DRAWING = 20_000
"""Characters of bars that are drawn on in the next part of their stream: it may have thousands."""


class Figure(NamedTuple):
    """An image that code displayed."""

    number: int
    """As in the text, from 1."""
    mime_type: str
    data: bytes


class Report(NamedTuple):
    """An execution as it will be shown, before anything is cut."""

    opening: str
    """What the reader must know first: which session it was, and whether state was lost."""
    body: str
    """What the code wrote and displayed, and its error. The only part that may be cut."""
    closing: str
    """Which files the code wrote, and how it ended, where it did not end by itself."""
    figures: tuple[Figure, ...]
    is_error: bool

    @property
    def text(self) -> str:
        """All of it."""
        return join(self.opening, self.body, self.closing)


def takes_long(execution: Execution) -> bool:
    """Whether arranging a result may take longer than others should wait."""
    length = _CHARACTERS_OF_ONE * (len(execution.outputs) + len(execution.order))
    for stream in (execution.stdout, execution.stderr):
        length += len(stream.head) + len(stream.tail)
    for output in execution.outputs:
        length += len(output.text) + sum(map(len, output.data.values()))
    if execution.error is not None:
        length += len(execution.error.traceback)
    return length > _LONG_CHARACTERS


def report(
    execution: Execution,
    remark: str = "",
    *,
    offer: PackageOffer = NOTHING,
    max_image_side: int = MAX_IMAGE_SIDE,
) -> Report:
    """Arrange what an execution gave, below a remark that the reader must see first.

    Args:
        execution: what was run.
        remark: stands above all.
        offer: which further packages its session may get.
        max_image_side: pixels of the longer side of an image that is shown.
    """
    body = _Body(max_image_side)
    for item in _joined(execution.timeline):
        if isinstance(item, StreamPart):
            body.add_stream(item)
        else:
            body.add_output(item)
    if execution.error is not None:
        body.add_error(_shortened(execution.error, execution.status), offer=offer)
    body.add_remarks(execution.remarks)
    body.add_remarks(about_missing_module(each, offer) for each in execution.missing_modules)
    pieces, figures = body.pieces, body.figures
    closing = _closing(execution)
    if not pieces and not closing:
        pieces.append("[done, no output]")
    return Report(
        opening=join(remark, _opening(execution)),
        body=join(*fold_all(pieces)),
        closing=closing,
        figures=tuple(figures),
        is_error=execution.status is not ExecutionStatus.SUCCEEDED,
    )


def join(*pieces: str) -> str:
    """The pieces that are not empty, one below the other."""
    return "\n".join(filter(None, pieces))


def _shortened(error: ExecutionError, status: ExecutionStatus) -> ExecutionError:
    if status is not ExecutionStatus.TIMED_OUT:
        return error
    return error._replace(traceback=before_time_was_up(error.traceback))


def told_of_cancelled(rollback: Rollback | None) -> str:
    """What code took along whose call was cancelled, for the result after it; empty for None."""
    if rollback is None:
        return ""
    return (
        f"[Earlier code, whose call was cancelled, was ended: {clean(rollback.reason)}. Variables "
        f"went back to before {clean(rollback.undone)}; files keep what was written to them.]"
    )


def _opening(execution: Execution) -> str:
    if execution.lost_before is None:
        return ""
    return (
        f"[The earlier session is gone: {clean(execution.lost_before)}. This code ran in a new "
        "one: variables, imports and files from before no longer exist.]"
    )


def _closing(execution: Execution) -> str:
    files = [path for path in execution.files if path not in execution.kept_files]
    written = ", ".join(map(show_name, files))
    return join(f"[files written: {written}]" if written else "", _ending(execution))


def _ending(execution: Execution) -> str:
    if execution.session_lost is not None:
        return (
            f"[The session ended: {clean(execution.session_lost)}. Its variables and files are "
            "gone; the next execution begins in a new session.]"
        )
    if execution.rollback is not None:
        return (
            f"[The code was ended: {clean(execution.rollback.reason)}. Variables are as they were "
            f"before {clean(execution.rollback.extent)}; files keep what was written to them.]"
        )
    spent = f"{execution.duration_seconds:.3g} s"
    if execution.status is ExecutionStatus.TIMED_OUT:
        kept = what_is_kept(execution.variables)
        go_on = "Continue from there, do" if execution.variables == "kept" else "Do"
        return (
            f"[Interrupted after {spent} because the time was up. {kept.capitalize()}. "
            f"{go_on} less at a time, or pass a longer timeout_seconds.]"
        )
    if execution.status is ExecutionStatus.CANCELED:
        return f"[Interrupted on request after {spent}. Variables and files are kept.]"
    return ""


def _image(data: Mapping[str, str | bytes], max_side: int) -> tuple[str, bytes] | None:
    """A value that comes in several image formats is shown once."""
    for content in data.values():
        if (
            isinstance(content, bytes)
            and (facts := examine(content)) is not None
            and facts.is_within(max_side)
        ):
            return facts.mime_type, content
    return None


def text_of(output: Output) -> str:
    """The best text that a displayed value has: Markdown before plain text, tables as tables."""
    if output.text:
        return output.text
    for kind in _TEXTS:
        if isinstance(text := output.data.get(kind), str) and text:
            return text
    if output.remarks:
        return ""
    if isinstance(text := output.data.get("text/html"), str):
        return text
    if output.data and not _TEXTS.keys() & output.data.keys():
        return f"[a value that only {', '.join(sorted(output.data))} can show]"
    return ""


class _Body:
    """Collects what is shown, and says of which stream it is where that changes."""

    def __init__(self, max_image_side: int) -> None:
        self._max_image_side = max_image_side
        self.pieces: list[str] = []
        self.figures: list[Figure] = []
        self._source = "[stdout]"
        self._said: set[str] = set()
        """Remarks on outputs: libraries load what they draw with by scripts of their own, each."""

    def add_stream(self, part: StreamPart) -> None:
        text = fold(clean(part.text).strip("\n"))
        if not text.strip():
            return
        self._say_source("[late]" if part.late else f"[{part.stream}]")
        self.pieces.append(text)

    def add_output(self, output: Output) -> None:
        if output.late:
            self._say_source("[late]")
        if (image := _image(output.data, self._max_image_side)) is not None:
            self._add_text(output, clean(output.text).strip("\n"))
            self.figures.append(Figure(len(self.figures) + 1, *image))
            self.pieces.append(f"[figure {len(self.figures)}]")
        else:
            self._add_text(output, clean(text_of(output)).strip("\n"))
            self.pieces += [_NO_IMAGE] if bytes in map(type, output.data.values()) else []
        self.add_remarks(each for each in output.remarks if each not in self._said)
        self._said.update(output.remarks)

    def _add_text(self, output: Output, shown: str) -> None:
        if not shown:
            return
        if output.kind == "result":
            self.pieces += ["[value]"] if self.pieces else []
            self._source = "[value]"
        elif output.late or self._source != "[value]":  # a value may have several parts
            self._say_source("[late]" if output.late else "[stdout]")
        self.pieces.append(shown)

    def add_error(self, error: ExecutionError, *, offer: PackageOffer) -> None:
        self.pieces += [f"[{clean(error.hint)}]"] if error.hint else []
        self.pieces.append(clean(error.traceback).strip("\n"))
        if error.missing_module:
            module = clean(error.missing_module)
            about = about_missing_module(module, offer)
            self.pieces.append(f"[{about}]")

    def add_remarks(self, remarks: Iterable[str]) -> None:
        self.pieces += [f"[{clean(remark)}]" for remark in remarks]

    def _say_source(self, source: str) -> None:
        if source != self._source:
            self.pieces.append(_LATE if source == "[late]" else source)
            self._source = source


def _joined(timeline: Iterable[StreamPart | Output]) -> list[StreamPart | Output]:
    """The timeline with progress bars where they were drawn last, and not where they were before.

    A bar goes on where it began, whatever other streams show in between: by a return in its own
    line, and with several, one below the other, anywhere from where they left the cursor.
    """
    items = list(timeline)
    last: dict[str, int] = {}
    for at, item in enumerate(items):
        if not isinstance(item, StreamPart):
            continue
        earlier = items[last[item.stream]] if item.stream in last else None
        if isinstance(earlier, StreamPart):
            again = item.text.startswith("\r") and not earlier.text.endswith("\n")
            if again or "\x1b[" in earlier.text:
                from aca_mcp.server.results.terminal import split_drawing  # seldom needed

                above, drawing, going_on = split_drawing(earlier.text)
                if (again or going_on) and len(drawing) <= _MAX_DRAWING:
                    items[last[item.stream]] = earlier._replace(text=above)
                    items[at] = item._replace(text=drawing + item.text)
        last[item.stream] = at
    return items
