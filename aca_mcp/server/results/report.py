"""What a model is shown of an execution: text and figures, in the order of their making. Pure.

The server writes its own remarks in square brackets. Everything else is what the session wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.pool import Execution, ExecutionStatus
from aca_mcp.server.results.text import clean, show_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_PLACEHOLDER = re.compile(r"<IPython\.core\.display\.\w+ object>")
"""What IPython calls a value that only its other representations show."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An image that code displayed."""

    number: int
    """As in the text, from 1."""
    mime_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """An execution as it will be shown, before anything is cut."""

    opening: str
    """What the reader must know first: which session it was, and whether state was lost."""
    body: str
    """What the code wrote and displayed, and its error. The only part that may be cut."""
    closing: str
    """Which files the code wrote, and how it ended, where it did not end by itself."""
    figures: tuple[Figure, ...]
    is_error: bool
    files: tuple[str, ...] = ()
    """Paths of those that the code made or changed."""

    @property
    def text(self) -> str:
        """All of it."""
        return join(self.opening, self.body, self.closing)


def report(execution: Execution, remark: str = "") -> Report:
    """Arrange what an execution gave, below a remark that the reader must see first."""
    pieces: list[str] = []
    figures: list[Figure] = []
    printed = clean(execution.stdout.text)
    if printed.strip():
        pieces.append(printed.strip("\n"))
    if complaints := clean(execution.stderr.text).strip("\n"):
        pieces.append(f"[stderr]\n{complaints}")
    for output in execution.outputs:
        if (image := _image(output.data)) is not None:
            figures.append(Figure(len(figures) + 1, *image))
            pieces.append(f"[figure {len(figures)}]")
        elif shown := clean(_shown(output.data)).strip("\n"):
            is_value = output.kind == "result" and bool(pieces)
            pieces.append(f"[value]\n{shown}" if is_value else shown)
    if execution.error is not None:
        pieces.append(clean(execution.error.traceback).strip("\n"))
    closing = _closing(execution)
    if not pieces and not closing:
        pieces.append("[done, no output]")
    return Report(
        opening=join(remark, _opening(execution)),
        body=join(*pieces),
        closing=closing,
        figures=tuple(figures),
        is_error=execution.status is not ExecutionStatus.SUCCEEDED,
        files=execution.files,
    )


def image_type(data: bytes) -> str | None:
    """The MIME type of an image that models can be shown, by its signature; else None."""
    for signature, mime_type in _SIGNATURES:
        if data.startswith(signature):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def join(*pieces: str) -> str:
    """The pieces that are not empty, one below the other."""
    return "\n".join(piece for piece in pieces if piece)


def _opening(execution: Execution) -> str:
    if execution.lost_before is None:
        return ""
    return (
        f"[The earlier session is gone: {clean(execution.lost_before)}. This code ran in a new "
        "one: variables, imports and files from before no longer exist.]"
    )


def _closing(execution: Execution) -> str:
    written = ", ".join(map(show_name, execution.files))
    return join(f"[files written: {written}]" if written else "", _ending(execution))


def _ending(execution: Execution) -> str:
    if execution.session_lost is not None:
        return (
            f"[The session ended: {clean(execution.session_lost)}. Its variables and files are "
            "gone; the next execution begins in a new session.]"
        )
    spent = f"{execution.duration_seconds:.3g} s"
    if execution.status is ExecutionStatus.TIMED_OUT:
        return (
            f"[Interrupted after {spent} because the time was up. Variables and files are kept. "
            "Continue from there, do less at a time, or pass a longer timeout_seconds.]"
        )
    if execution.status is ExecutionStatus.CANCELED:
        return f"[Interrupted on request after {spent}. Variables and files are kept.]"
    return ""


def _image(data: Mapping[str, str | bytes]) -> tuple[str, bytes] | None:
    """A value that comes in several image formats is shown once."""
    for content in data.values():
        if isinstance(content, bytes) and (mime_type := image_type(content)) is not None:
            return mime_type, content
    return None


def _shown(data: Mapping[str, str | bytes]) -> str:
    texts = {kind: content for kind, content in data.items() if isinstance(content, str)}
    plain = texts.get("text/plain", "")
    if "text/markdown" in texts:
        return texts["text/markdown"]
    if plain and _PLACEHOLDER.fullmatch(plain) is None:
        return plain
    for kind in ("text/latex", "application/json"):
        if kind in texts:
            return texts[kind]
    if plain:
        return plain
    if "text/html" in texts:
        return texts["text/html"]
    return f"[a value that only {', '.join(sorted(data))} can show]" if data else ""
