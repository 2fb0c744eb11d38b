"""What is below an open directory of the host: what may be copied, and what is left out and why.

Links are not followed, and nothing is opened but directories.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aca_mcp.open_beneath import O_DIRECTORY, open_beneath
from aca_mcp.pool import FileEntry
from aca_mcp.server.results.text import show_name
from aca_mcp.server.transfers.host_names import is_hidden, why_unreadable
from aca_mcp.server.transfers.matching import matches, named

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LOOKED_AT = 20_000
"""Names that one search passes before it gives up: directories of people can be deep."""
_MAX_DEPTH = 20
_MAX_EXAMPLES = 3
HIDDEN = "names that begin with a dot"
NAMES = "names that cannot be written in a call"
LINKS = "links"
SEVERAL_NAMES = "files with several names (hard links)"
NO_FILES = "what is no file"


@dataclass(slots=True)
class Entries:
    """What a search found."""

    found: list[FileEntry] = field(default_factory=list[FileEntry])
    is_whole: bool = True
    """There is nothing that it did not pass."""
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Paths by why they cannot be copied."""

    def note_left_out(self, wanted: str = "") -> str:
        """What was left out, in a line, and what can be done about it; empty for nothing.

        Args:
            wanted: the path or pattern that this is about; empty for everything.
        """
        kinds = [
            _counted(why, found)
            for why, paths in sorted(self.left_out.items())
            if (found := named(wanted, paths))
        ]
        if not kinds:
            return ""
        return f"[left out: {'; '.join(kinds)}. The user can copy or rename what is needed of them]"


def _counted(why: str, paths: list[str]) -> str:
    if why == HIDDEN:
        return f"{why}, {len(paths):,}"
    shown = ", ".join(map(show_name, sorted(paths)[:_MAX_EXAMPLES]))
    return f"{why}, {len(paths):,} ({shown}{', ...' if len(paths) > _MAX_EXAMPLES else ''})"


def entries_below(root: int, parts: tuple[str, ...], pattern: str = "") -> Entries:
    """What there is. Blocking.

    Args:
        root: a descriptor of the directory that paths are relative to.
        parts: of the directory to look into.
        pattern: which files are wanted, at any depth; empty for what lies directly there.

    Raises:
        OSError: that directory cannot be read.
    """
    entries = Entries()
    start = len("/".join(parts))
    for looked_at, (path, entry) in enumerate(_walk(root, parts, deep=bool(pattern))):
        if looked_at == _MAX_LOOKED_AT:
            entries.is_whole = False
            break
        if pattern and not matches(path[start:].lstrip("/"), pattern):
            continue
        if isinstance(entry, str):
            entries.left_out.setdefault(entry, []).append(path)
        elif not pattern or entry.kind == "file":
            entries.found.append(entry)
    return entries


def directories_below(root: int) -> list[str]:
    """The paths of directories, as far as they are looked at. Blocking."""
    walk = zip(range(_MAX_LOOKED_AT), _walk(root, (), deep=True), strict=False)
    return [
        path
        for _, (path, entry) in walk
        if isinstance(entry, FileEntry) and entry.kind == "directory"
    ]


def _walk(
    root: int, start: tuple[str, ...], *, deep: bool
) -> Iterator[tuple[str, FileEntry | str]]:
    """Paths, nearest first, with what is there or why it may not be copied.

    A directory that cannot be read has nothing.
    """
    waiting = deque([start])
    while waiting:
        parts = waiting.popleft()
        try:
            here = open_beneath(root, parts, os.O_RDONLY | O_DIRECTORY)
        except OSError:
            if parts == start:
                raise
            continue
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    path = "/".join((*parts, entry.name))
                    if (found := _look(path, entry)) is None:
                        continue
                    yield path, found
                    is_directory = isinstance(found, FileEntry) and found.kind == "directory"
                    if deep and is_directory and len(parts) < _MAX_DEPTH:
                        waiting.append((*parts, entry.name))
        finally:
            os.close(here)


def _look(path: str, entry: os.DirEntry[str]) -> FileEntry | str | None:
    """What a name stands for, or why that may not be copied; None if it is gone."""
    if is_hidden(entry.name):
        return HIDDEN
    if why_unreadable(entry.name) is not None:
        return NAMES
    try:
        seen = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    modified_at = datetime.fromtimestamp(seen.st_mtime, UTC)
    if stat.S_ISDIR(seen.st_mode):
        return FileEntry(path, "directory", seen.st_size, modified_at)
    if stat.S_ISLNK(seen.st_mode):
        return LINKS
    if not stat.S_ISREG(seen.st_mode):
        return NO_FILES
    if seen.st_nlink > 1:
        return SEVERAL_NAMES
    return FileEntry(path, "file", seen.st_size, modified_at)
