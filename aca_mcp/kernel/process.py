"""What there is to see to in the process of a session around each execution."""

from __future__ import annotations

import os
import sys
from _thread import _count as count_threads  # pyright: ignore[reportPrivateUsage] -- threading has no other
from _thread import get_ident
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_libc: list[Any] = []
_LINE_BUFFERED = 1
"""``_IOLBF`` of ``stdio.h``, on Linux."""
_POOLS = tuple(
    each.replace("/", os.sep)
    for each in (
        "/concurrent/futures/",
        "/multiprocessing/",
        "/joblib/",
        "/asyncio/",
        "/ipykernel/iostream.",
    )
)
"""Whose threads work for whoever gives them something to do. A Jupyter kernel's pass on what other
processes write."""
_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 -- a name, to compare
_MAX_FRAMES = 30


def other_threads() -> frozenset[int]:
    """Identifiers of the threads besides this one that are at something already.

    What a pool's idle thread prints later is of the code that gives it work.
    """
    if not count_threads():
        return frozenset()
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] -- documented
    own = get_ident()
    return frozenset(each for each, frame in frames.items() if each != own and not _is_idle(frame))


def _is_idle(frame: FrameType | None) -> bool:
    """Whether a thread is a pool's, and calls nothing of anybody else at the moment."""
    is_of_pool = False
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        filename = frame.f_code.co_filename
        is_of_pool = is_of_pool or any(each in filename for each in _POOLS)
        if not (filename.startswith(_LIBRARY) or any(each in filename for each in _POOLS)):
            return False
        frame = frame.f_back
    return is_of_pool


def load_native() -> None:
    """Find the C library, so that ``flush_native`` need not, and have it write line by line.

    As at a terminal: so a line stands where it was printed, and is there if a crash comes next.
    """
    try:
        import ctypes

        library = ctypes.CDLL(None)
        _libc[:] = [library]
        library.setvbuf(ctypes.c_void_p.in_dll(library, "stdout"), None, _LINE_BUFFERED, 0)
    except (ImportError, OSError, TypeError, ValueError, AttributeError):
        return  # a platform without one that could be called, or with other names


def flush_native() -> None:
    """Write out what compiled code has printed without the end of its line."""
    for library in _libc:
        library.fflush(None)


class Descriptors:
    """Descriptors of files as they were, whatever code closes or points elsewhere."""

    def __init__(self) -> None:
        self.copies: dict[int, int] = {}
        self._files: dict[int, tuple[int, int] | None] = {}

    def keep(self, *numbers: int) -> None:
        """Have these be restored; those that are not open are left alone."""
        for number in numbers:
            with suppress(OSError):
                self.copies[number] = os.dup(number)
                self._files[number] = _file_behind(number)

    def restore(self) -> None:
        """Have them lead again where they led."""
        for number, file in self._files.items():
            if _file_behind(number) != file:
                os.dup2(self.copies[number], number)


def _file_behind(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


_PF_EXITING = 0x4


def can_run(pid: int) -> bool:
    """Whether a process may run its program again: it is there, and not about to end.

    One with much memory takes long to end, and does nothing else meanwhile.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 -- in a hurry
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in {b"Z", b"X"} and not int(fields[6]) & _PF_EXITING


def children_of(pid: int) -> set[int]:
    """Numbers of the processes that a process has started and not waited for; empty if it is gone.

    By ``/proc/PID/task/TID/children`` (proc(5)): each thread has those that it started.
    """
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 -- in a hurry
            name = f"/proc/{pid}/task/{thread}/children"
            with open(name, "rb", buffering=0) as file:  # noqa: PTH123 -- less memory
                found |= set(map(int, file.read().split()))
    return found
