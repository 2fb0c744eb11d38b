"""Tool results, each small enough for every client; what does not fit stays in the session.

Clients refuse a result of more than 1 MB, and a model can read much less. Text that is cut, and
figures that are too large, are left as files of the session and named in the text. Figures are
made smaller by the session itself: an image may be an attack on whoever decodes it.
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread
from mcp_types import CallToolResult, ImageContent, TextContent

from aca_mcp.errors import SessionPoolError
from aca_mcp.pool import MAX_IMAGE_SIDE, ExecutionStatus
from aca_mcp.server.results.files import read_at_most
from aca_mcp.server.results.image_structure import examine
from aca_mcp.server.results.report import Figure, Report, join
from aca_mcp.server.results.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.session import PythonSession

_logger = logging.getLogger(__name__)

MAX_RESULT_BYTES = 950_000
"""Of a whole result on the wire, with room for its envelope below the 1 MB that clients take."""
_MAX_ERROR_BYTES = 10_000
"""Some clients cut the text of errors themselves, at about 11,000 characters and at its end."""
_MIN_FIGURE_BYTES = 40_000
"""A figure that had to be smaller than this would show nothing; it is only named then."""
MAX_FIGURES = 20
"""Shown in one result; the others are only named."""
MAX_IMAGE_BYTES = 600_000
"""Of one image that is shown by itself."""
_SCALE_SECONDS = 20

_SCALE = """\
import os
from PIL import Image, ImageOps, features
for source, target, limit in jobs:
    with Image.open(source) as image:
        image = ImageOps.exif_transpose(image)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    forms = ["PNG", "JPEG"] if image.mode == "RGB" and features.check("jpg") else ["PNG"]
    factor = min(1.0, side / max(image.size))
    for attempt in range(6):
        shape = [max(1, int(side * factor)) for side in image.size]
        smaller = image.resize(shape, Image.Resampling.LANCZOS)
        for form in forms:
            smaller.save(target, form, quality=85)
            if (size := os.path.getsize(target)) <= limit:
                break
        if size <= limit:
            break
        factor *= max(0.1, min(0.85, (limit / size) ** 0.5))
"""
"""Photographs become JPEG: as PNG they would be too small to see much in them."""


def text_result(text: str, *, is_error: bool = False) -> CallToolResult:
    """A result of one text."""
    return CallToolResult(content=[TextContent(text=text)], is_error=is_error)


def wire_bytes(text: str) -> int:
    """How long a cleaned text is inside JSON."""
    escaped = sum(map(text.count, '"\\\n\t'))
    return len(text.encode()) + escaped


async def answer(
    session: PythonSession | None,
    report: Report,
    *,
    name: str,
    max_text_bytes: int,
    max_image_side: int = MAX_IMAGE_SIDE,
) -> CallToolResult:
    """The result of an execution.

    Args:
        session: where to leave what does not fit; None if the session is gone.
        report: what to show.
        name: how the files in the session begin, such as ``outputs/execution-1``.
        max_text_bytes: room for what the code wrote; at most ``ServerOptions`` has.
        max_image_side: pixels of a figure's longer side.
    """
    if report.is_error:
        max_text_bytes = min(max_text_bytes, _MAX_ERROR_BYTES)
    body = report.body
    if len(body) * 4 > max_text_bytes:
        body = await _cut(session, report, f"{name}.txt", max_text_bytes)
    text = join(report.opening, body, report.closing)
    if not report.figures:
        return text_result(text, is_error=report.is_error)
    room = MAX_RESULT_BYTES - wire_bytes(text)
    fitted = await _fit(session, report.figures, name, room, max_image_side)
    text = join(text, *fitted.remarks)
    images = [_image_block(figure.mime_type, figure.data) for figure in fitted.figures]
    return CallToolResult(content=[TextContent(text=text), *images], is_error=report.is_error)


async def _cut(session: PythonSession | None, report: Report, path: str, max_bytes: int) -> str:
    shown = cut(report.body, max_bytes)
    if shown == report.body:
        return shown
    kept = await _keep(session, path, report.text.encode())
    return cut(report.body, max_bytes, f"; all of it is in {path}" if kept else "")


class _Fitted(NamedTuple):
    figures: Sequence[Figure]
    remarks: Sequence[str]


async def _fit(
    session: PythonSession | None,
    figures: Sequence[Figure],
    name: str,
    room: int,
    max_side: int,
) -> _Fitted:
    """Choose what is shown of the figures, and say what is not.

    A result has room for so many bytes, of which each of the first ``MAX_FIGURES`` has a share.

    * All of them fit: they are shown as they are.
    * One is larger than its share: it is kept as a file, and the session makes it smaller. If that
      fails, or it still is too large, only the file is told.
    * One comes after the first ``MAX_FIGURES``: it is kept as a file and not shown.
    * The session is gone, or has no room: nothing can be kept, and this is told instead.
    """
    if len(figures) <= MAX_FIGURES and sum(map(_wire_size, figures)) <= room:
        return _Fitted(figures, ())
    share = max(room // min(len(figures), MAX_FIGURES), _MIN_FIGURE_BYTES)
    paths = {
        figure.number: f"{name}-figure-{figure.number}.{figure.mime_type.partition('/')[2]}"
        for figure in figures
    }
    kept: dict[int, str] = {}
    for number, figure in enumerate(figures, 1):
        does_not_fit = _wire_size(figure) > share or number > MAX_FIGURES
        if does_not_fit and await _keep(session, paths[number], figure.data):
            kept[number] = paths[number]
    first = {number: path for number, path in kept.items() if number <= MAX_FIGURES}
    small = await _scale(session, first, share * 3 // 4, max_side)
    shown: list[Figure] = []
    remarks: list[str] = []
    for figure in figures[:MAX_FIGURES]:
        fitting = small.get(figure.number, figure)
        where = f"in {paths[figure.number]}" if figure.number in kept else "not kept"
        if _wire_size(fitting) > min(share, room):
            remarks.append(f"[figure {figure.number} is too large to be shown; it is {where}]")
            continue
        room -= _wire_size(fitting)
        shown.append(fitting)
        if fitting is not figure:
            remarks.append(f"[figure {figure.number} is shown smaller; the full size is {where}]")
    if len(figures) > MAX_FIGURES:
        where = f"in {name}-figure-*" if len(figures) in kept else "not kept"
        remarks.append(f"[figures from {MAX_FIGURES + 1} on are not shown; they are {where}]")
    return _Fitted(shown, remarks)


def _image_block(mime_type: str, data: bytes) -> ImageContent:
    return ImageContent(data=base64.b64encode(data).decode(), mime_type=mime_type)


def _wire_size(figure: Figure) -> int:
    return len(figure.data) * 4 // 3 + 100


async def _keep(session: PythonSession | None, path: str, content: bytes) -> bool:
    if session is None:
        return False
    try:
        await session.upload(path, content)
    except SessionPoolError as error:
        _logger.info("What did not fit into a result was not kept: %s", type(error).__name__)
        return False
    return True


async def shown_smaller(session: PythonSession, path: str, max_side: int) -> Figure | None:
    """An image file of the session as small as a result needs it; None if that cannot be made."""
    return (await _scale(session, {1: path}, MAX_IMAGE_BYTES, max_side)).get(1)


async def _scale(
    session: PythonSession | None, paths: dict[int, str], max_bytes: int, max_side: int
) -> dict[int, Figure]:
    """Have the session make its figures smaller; those that it does not are left out."""
    if session is None or not paths:
        return {}
    jobs = [(path, f"{path}.small", max_bytes) for path in paths.values()]
    # A namespace of its own keeps the user's variables as they are.
    code = f"exec({_SCALE!r}, {{'jobs': {jobs!r}, 'side': {max_side}}})"
    found: dict[int, Figure] = {}
    try:
        execution = await session.execute(code, timeout_seconds=_SCALE_SECONDS)
        if execution.status is not ExecutionStatus.SUCCEEDED:
            return {}
        for number, path in paths.items():
            data = await read_at_most(session, f"{path}.small", max_bytes)
            facts = await anyio.to_thread.run_sync(examine, data)
            if facts is not None and facts.is_within(max_side):
                found[number] = Figure(number, facts.mime_type, data)
            await session.delete_file(f"{path}.small")
    except SessionPoolError as error:
        _logger.info("Figures were not made smaller: %s", type(error).__name__)
    return found
