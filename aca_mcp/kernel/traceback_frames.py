"""Which frames of a traceback are shown: those of the user's code, and the last of libraries.

Bounded, whatever the traceback is: functions call themselves a million deep. Standard library only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .hidden_frames import is_own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_SHELL = f"{os.sep}IPython{os.sep}"
_KERNEL = f"{os.sep}ipykernel{os.sep}"
_IMPORTING = "<frozen importlib"
"""Python's own, which it leaves out itself where a statement imports."""
_CELLS = ("<cell ", "<ipython-input", "/tmp/ipykernel_")  # noqa: S108 -- names to compare
_LIBRARY_FRAMES_KEPT = 3
_FIRST_FRAMES = 10
_LAST_FRAMES = 20
_SHOWN_ALIKE = 3
_MAX_ROUND = 4
"""Functions that call each other in turn."""

Step = Any  # a frame and its line, or a number of frames that are not shown


def cell_name(number: int) -> str:
    """The file name under which a piece of code is compiled."""
    return f"<cell {number}>"


def is_cell(filename: str) -> bool:
    """Whether a file name is that of code given to an execution."""
    return filename.startswith(_CELLS) or filename == program_file()


def program_file() -> str | None:
    """The file of the program that the session's code is, where it was begun as one."""
    main = sys.modules.get("__main__")
    file = vars(main).get("__file__") if isinstance(main, ModuleType) else None
    return file if type(file) is str else None


class Repeated(int):
    """How many more frames of a function that calls itself."""


def shown_frames(start: TracebackType | None) -> list[Step]:
    """The frames of the user's code and the last of libraries; numbers of those left out."""
    first: list[Step] = []
    last: deque[Step] = deque(maxlen=_LAST_FRAMES)
    left_out = 0
    for step in _unrepeated(_trimmed(start)):
        if len(first) < _FIRST_FRAMES:
            first.append(step)
            continue
        if len(last) == _LAST_FRAMES:
            dropped = last[0]
            left_out += dropped if isinstance(dropped, int) else 1
        last.append(step)
    if not left_out:
        return _folded([*first, *last])
    end = _folded([*reversed(last)], is_cut=True)
    return [*_folded(first, is_cut=True), left_out, *reversed(end)]


def _unrepeated(steps: Iterator[Step]) -> Iterator[Step]:
    """Of frames of one line the first three, and how many more there are, as Python has it."""
    last, more = None, 0
    for step in steps:
        if (call := _call(step)) != last:
            if more > 0:
                yield Repeated(more)
            last, more = call, -_SHOWN_ALIKE
        more += 1
        if more <= 0:
            yield step
    if more > 0:
        yield Repeated(more)


def _call(step: Step) -> object:
    return step if isinstance(step, int) else (step[0].f_code, step[1])


def _folded(steps: list[Step], *, is_cut: bool = False) -> list[Step]:
    """Frames without the further rounds of functions that call each other in turn; their number.

    Of frames that are cut at their end the last round need not be whole.
    """
    calls = list(map(_call, steps))
    found: list[Step] = []
    at = 0
    while at < len(steps):
        rounds = [_again(calls, at, length, is_cut) for length in range(2, _MAX_ROUND + 1)]
        found.append(max(rounds) or steps[at])
        at += max(rounds) or 1
    return found


def _again(calls: list[object], at: int, length: int, is_cut: bool) -> int:
    """How many calls, from one on, are those of the round before them, over and over."""
    end = at
    while length <= end < len(calls) and calls[end] == calls[end - length]:
        end += 1
    count = end - at
    if count < length or len(set(calls[at:end])) < 2:
        return 0
    return count if is_cut and end == len(calls) else count - count % length


def _trimmed(start: TracebackType | None) -> Iterator[Step]:
    """All frames but the interpreter's own, and of each stretch in libraries the last few."""
    entered = not has_cell(start)
    library: deque[Step] = deque(maxlen=_LIBRARY_FRAMES_KEPT)
    skipped = 0
    handler = _interrupt_handler()
    tb = start
    while True:
        filename = tb.tb_frame.f_code.co_filename if tb is not None else ""
        if tb is None or is_cell(filename):
            if skipped:
                yield skipped
            yield from library
            library.clear()
            skipped = 0
        if tb is None:
            return
        if is_cell(filename):
            entered = True
            yield tb.tb_frame, tb.tb_lineno
        elif entered and not _is_own(filename) and filename != handler:
            skipped += len(library) == _LIBRARY_FRAMES_KEPT
            library.append((tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next


def has_cell(tb: TracebackType | None) -> bool:
    """A script that was run by a magic has frames of its own and none of a cell."""
    while tb is not None:
        if is_cell(tb.tb_frame.f_code.co_filename):
            return True
        tb = tb.tb_next
    return False


def _is_own(filename: str) -> bool:
    return (
        is_own(filename)
        or filename.startswith(_IMPORTING)
        or _SHELL in filename
        or _KERNEL in filename
    )


def _interrupt_handler() -> str:
    handler = signal.getsignal(signal.SIGINT)
    code = getattr(handler, "__code__", None)
    return str(getattr(code, "co_filename", ""))
