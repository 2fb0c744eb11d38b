"""Frames of this package, which are none of the code's: no traceback that it makes has them.

Code sees its stack by way of ``traceback``, ``inspect`` and ``warnings``, as logging and asyncio
do. What walks over frames by itself sees them all. Standard library only.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_DIRECTORY = os.path.dirname(__file__).removesuffix("kernel")  # noqa: PTH120 -- a name, where it is sent to


def is_own(filename: str) -> bool:
    """Whether a file of code is one of this package's."""
    return filename.startswith(_DIRECTORY)


def hide_own_frames() -> None:
    """Leave them out, from now on, of all that formats or lists frames."""
    traceback.walk_stack = _walking_from_here(traceback.walk_stack)
    summary: Any = traceback.StackSummary
    # The one that tracebacks come through; of Python 3.10 it is the other.
    for name in ("_extract_from_extended_frame_gen", "extract"):
        if hasattr(summary, name):
            setattr(summary, name, classmethod(_of_others(getattr(summary, name).__func__)))
            break
    for name in ("getouterframes", "getinnerframes"):
        setattr(inspect, name, _listing_others(getattr(inspect, name)))
    warnings.warn = _warning_about_others(warnings.warn)  # pyright: ignore[reportAttributeAccessIssue] -- the same signature


def _is_own_frame(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    # The first of all is the program by which the process was started.
    return is_own(filename) or (filename == "<string>" and frame.f_back is None)


def _is_of_others(step: tuple[FrameType, object]) -> bool:
    return not _is_own_frame(step[0])


def _walking_from_here(usual: Callable[..., Any]) -> Any:
    @functools.wraps(usual)
    def walk_stack(f: FrameType | None) -> Any:
        # The usual one counts the frames up to its caller, of which there are others now.
        return usual(f or sys._getframe(1))  # pyright: ignore[reportPrivateUsage] -- documented

    return walk_stack


def _of_others(usual: Callable[..., Any]) -> Any:
    @functools.wraps(usual)
    def extract(klass: type, frame_gen: Any, **options: Any) -> Any:
        return usual(klass, filter(_is_of_others, frame_gen), **options)

    return extract


def _listing_others(usual: Callable[..., Any]) -> Any:
    @functools.wraps(usual)
    def frames(start: Any, context: int = 1) -> list[Any]:
        return [each for each in usual(start, context) if not _is_own_frame(each.frame)]

    return frames


def _warning_about_others(usual: Callable[..., Any]) -> Any:
    @functools.wraps(usual)
    def warn(
        message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **options: Any
    ) -> None:
        if stacklevel > 1:
            stacklevel = _others_within(sys._getframe(1), stacklevel)  # pyright: ignore[reportPrivateUsage] -- documented
        usual(message, category, stacklevel + 1, source, **options)

    return warn


def _others_within(frame: FrameType | None, level: int) -> int:
    """A number of frames, or a smaller one, so that the last of them is not our own."""
    last = counted = 1
    while frame is not None and counted <= level:
        filename = frame.f_code.co_filename
        if (
            "importlib" not in filename or "_bootstrap" not in filename
        ):  # Python counts none of them
            last = last if _is_own_frame(frame) else counted
            counted += 1
        frame = frame.f_back
    return last
