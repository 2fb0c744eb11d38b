"""Small differences of the platform, made up for."""

from __future__ import annotations

import sys
import time
import types

_SLICE_SECONDS = 0.02
"""A call of WASI cannot be interrupted: a long sleep is many short ones."""

_sleep = time.sleep


def install() -> None:
    """Put them in place."""
    time.sleep = sleep_in_slices
    # Python was started without ``site``, and would say so with every module that is not there.
    flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if name[0] != "_"}
    sys.flags = types.SimpleNamespace(**flags | {"no_site": 0})


def sleep_in_slices(seconds: float, /) -> None:
    """Sleep as ``time.sleep`` does, and be interrupted as it would be."""
    end = time.monotonic() + seconds
    _sleep(min(seconds, _SLICE_SECONDS))  # raises what it raises for a wrong argument
    while (left := end - time.monotonic()) > 0:
        _sleep(min(left, _SLICE_SECONDS))
