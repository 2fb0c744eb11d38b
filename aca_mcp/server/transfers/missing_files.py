"""What to do about an error of the code that is about files of the user."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aca_mcp.pool import ExecutionError
    from aca_mcp.server.transfers.host_directory import WorkDir

_ABOUT_FILES = frozenset({"FileNotFoundError", "IOException", "OSError", "NoSuchFile"})
_QUOTED = re.compile(r"""["']([^"'\n]{1,4096})["']""")
_LAST = re.compile(r": ([^:\n]{1,4096})$", re.MULTILINE)
_MAX_CANDIDATES = 3
_MAX_MESSAGE = 5_000


async def hint_about_files(error: ExecutionError, work_dir: WorkDir) -> str:
    """Which call copies the file that code did not find, if the work directory has it.

    Args:
        error: what the code ended with.
        work_dir: the user's.

    Returns:
        A line, or nothing.
    """
    if error.name not in _ABOUT_FILES:
        return ""
    named = list(islice(_paths_in(error.message[:_MAX_MESSAGE]), _MAX_CANDIDATES))
    for path in named:
        if (found := await work_dir.suggest(path)) is not None:
            return (
                f"[{found} is in the user's work directory, and not in the session: "
                f'upload_from_work_dir(paths=["{found}"]) copies it.]'
            )
    for path in named:
        if near := await work_dir.near(path):
            names = ", ".join(map(show_name, near))
            return (
                f"[Close to that name in the user's work directory: {names}. "
                "upload_from_work_dir copies what the session does not have.]"
            )
    return ""


def _paths_in(message: str) -> Iterator[str]:
    """What may be the path in a message: pandas, polars and duckdb each have their own."""
    for pattern in (_QUOTED, _LAST):
        for found in pattern.finditer(message):
            yield found[1].strip()
