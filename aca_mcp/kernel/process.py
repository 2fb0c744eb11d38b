"""What there is to see to in the process of a session around each execution."""

from __future__ import annotations

import sys
from _thread import _count as count_threads  # pyright: ignore[reportPrivateUsage] -- threading has no other
from _thread import get_ident
from typing import Any

_libc: list[Any] = []


def other_threads() -> frozenset[int]:
    """Identifiers of the threads besides this one."""
    if not count_threads():
        return frozenset()
    return frozenset(sys._current_frames()) - {get_ident()}  # pyright: ignore[reportPrivateUsage] -- documented


def load_native() -> None:
    """Find the C library, so that ``flush_native`` need not."""
    try:
        import ctypes

        _libc[:] = [ctypes.CDLL(None)]
    except (ImportError, OSError, TypeError):
        _libc[:] = []  # a platform without one that could be called


def flush_native() -> None:
    """Write out what compiled code has printed: the C library keeps it where output is a pipe."""
    for library in _libc:
        library.fflush(None)
