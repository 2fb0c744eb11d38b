"""Which files of the work directory a piece of code made or changed.

Told by looking before and after, since clocks of file systems are too coarse to tell what happened
within a few milliseconds. Standard library only.
"""

from __future__ import annotations

import os

MAX_ENTRIES = 300
"""A directory with more is not looked at: that would take longer than most code."""
MAX_TOLD = 20
_MAX_DEPTH = 4

Snapshot = dict[str, tuple[int, int, int]]
"""Path relative to the work directory, to what differs when a file does."""


def snapshot(root: str, most: int = MAX_ENTRIES) -> Snapshot | None:
    """The files below a directory, without those whose names begin with a dot; None if too many."""
    found: Snapshot = {}
    seen = 0
    pending = [("", 1)]
    while pending:
        directory, depth = pending.pop()
        try:
            with os.scandir(f"{root}/{directory}") as entries:
                for entry in entries:
                    seen += 1
                    if seen > most:
                        return None
                    if entry.name.startswith(".") or entry.name == "__pycache__":
                        continue
                    path = f"{directory}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        if depth < _MAX_DEPTH:
                            pending.append((f"{path}/", depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            continue  # code may remove and close what it likes
    return found


def changed(before: Snapshot | None, after: Snapshot | None) -> list[str]:
    """Paths of the files that are new or differ, sorted, as many as are worth telling."""
    if before is None or after is None:
        return []
    return sorted(path for path, state in after.items() if before.get(path) != state)[:MAX_TOLD]
