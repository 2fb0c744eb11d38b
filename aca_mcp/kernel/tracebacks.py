"""Exceptions as text for whoever wrote the code: their frames, and where a library stopped."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

_OWN_DIRECTORY = str(Path(__file__).parent.parent)
_SHELL = f"{os.sep}IPython{os.sep}"
_LIBRARY_FRAMES_KEPT = 3
_MAX_CHAIN = 20
_MAX_CHARACTERS = 64 * 1024


def cell_name(number: int) -> str:
    """The file name under which a piece of code is compiled."""
    return f"<cell {number}>"


def is_cell(filename: str) -> bool:
    """Whether a file name is that of code given to ``execute``."""
    return filename.startswith("<cell ")


def format_exception(error: BaseException) -> str:
    """Return the traceback without the interpreter's own frames and without colours.

    Libraries are cut to their last frames. Chained exceptions and groups are treated likewise.
    """
    formatted = traceback.TracebackException.from_exception(error, compact=True)
    _trim(formatted, depth=0)
    text = "".join(formatted.format()).rstrip("\n")
    if len(text) <= _MAX_CHARACTERS:
        return text
    half = _MAX_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"


def _is_own(filename: str) -> bool:
    return filename.startswith(_OWN_DIRECTORY) or _SHELL in filename


def _trim(formatted: traceback.TracebackException, depth: int) -> None:
    kept: list[traceback.FrameSummary] = []
    library: list[traceback.FrameSummary] = []
    # A script that was run by a magic has frames of its own and none of a cell.
    entered = not any(is_cell(frame.filename) for frame in formatted.stack)
    for frame in formatted.stack:
        if is_cell(frame.filename):
            kept += [*library[-_LIBRARY_FRAMES_KEPT:], frame]
            library = []
            entered = True
        elif entered and not _is_own(frame.filename):
            library.append(frame)
    formatted.stack[:] = [*kept, *library[-_LIBRARY_FRAMES_KEPT:]]
    if depth > _MAX_CHAIN:
        return
    for inner in (formatted.__cause__, formatted.__context__, *(formatted.exceptions or ())):
        if inner is not None:
            _trim(inner, depth + 1)
