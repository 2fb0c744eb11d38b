"""Directory trees that the code of a session made on the host: measured, and removed.

However deep and wide they are, the cost is a few descriptors and no recursion. For sessions that
have no file system of their own. Standard library only; blocking.
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from aca_mcp.open_beneath import open_beneath

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALLEST_ENTRY_BYTES = 4096
_MAX_ENTRIES = 200_000
_MAX_DEPTH = 128


def size_of_tree(directory: Path, max_entries: int = _MAX_ENTRIES) -> float:
    """Bytes below a directory; each entry counts as at least 4 KiB.

    Infinite for a tree that is too large or too deep to be measured again and again.
    """
    total = count = 0
    try:
        root = os.open(directory, _DIRECTORY)
    except OSError:
        return 0  # it is being removed
    try:
        pending: list[tuple[str, ...]] = [()]
        while pending:
            parts = pending.pop()
            for name, status in _entries(root, parts):
                count += 1
                total += max(_SMALLEST_ENTRY_BYTES, status.st_blocks * 512)
                if stat.S_ISDIR(status.st_mode):
                    pending.append((*parts, name))
            if count > max_entries or len(parts) > _MAX_DEPTH:
                return math.inf
    finally:
        os.close(root)
    return total


def _entries(root: int, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
    """What a directory has now; nothing if code has removed it or closed it meanwhile."""
    found: list[tuple[str, os.stat_result]] = []
    try:
        directory = open_beneath(root, parts, _DIRECTORY)
    except OSError:
        return found
    try:
        with os.scandir(directory) as entries:
            for entry in itertools.islice(entries, _MAX_ENTRIES):
                with suppress(OSError):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
    finally:
        os.close(directory)
    return found


def remove_tree(directory: Path) -> None:
    """Remove a directory with all that is in it, as far as possible.

    Nothing may use it any more. Directories are moved up to the first level before they are
    emptied, so none is deep.
    """
    try:
        root = os.open(directory, _DIRECTORY)
    except OSError:
        return
    try:
        pending = os.listdir(root)  # noqa: PTH208 -- of a descriptor
        while pending:
            with suppress(OSError):
                _remove(root, pending.pop(), pending)
    finally:
        os.close(root)
    with suppress(OSError):
        directory.rmdir()


def _remove(root: int, name: str, pending: list[str]) -> None:
    """Remove an entry of the first level; directories in it come to that level, and to pending."""
    if not _make_accessible(root, name):
        os.unlink(name, dir_fd=root)
        return
    directory = os.open(name, _DIRECTORY, dir_fd=root)
    try:
        for below in os.listdir(directory):  # noqa: PTH208 -- likewise
            with suppress(OSError):
                if _make_accessible(directory, below):
                    up = f"removed-{secrets.token_hex(8)}"
                    os.rename(below, up, src_dir_fd=directory, dst_dir_fd=root)
                    pending.append(up)
                else:
                    os.unlink(below, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=root)


def _make_accessible(parent: int, name: str) -> bool:
    """Whether it is a directory; one that code has closed to itself is opened again."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        return False
    os.chmod(name, 0o700, dir_fd=parent)
    return True
