"""Files that were open when the memory was copied: their descriptors are not there any more."""

from __future__ import annotations

import contextlib
import gc
import io
import sys

from aca_mcp.kernel.figures import forget_fonts

_STANDARD_STREAMS = 2


def close_all() -> None:
    """Close what has a descriptor of its own, before another file gets the same number."""
    forget_fonts()
    kinds: list[type] = [io.FileIO]
    if (sqlite := sys.modules.get("sqlite3")) is not None:
        kinds.append(sqlite.Connection)
    for thing in gc.get_objects():
        if type(thing) in kinds and not _is_standard(thing):
            with contextlib.suppress(Exception):  # that it is not there is known
                thing.close()


def _is_standard(thing: object) -> bool:
    try:
        return type(thing) is io.FileIO and thing.fileno() <= _STANDARD_STREAMS
    except ValueError:
        return False  # closed already
