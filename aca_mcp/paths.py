"""What a path of a session may be, before anybody is asked for the file. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from aca_mcp.errors import InvalidPathError

_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 3000
_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^<>]+)>?\)")


def without_scheme(path: str) -> str:
    """The path in a name that other hosts taught a model: ``sandbox:/mnt/data/x``, ``file:///...``.

    The URIs of our own resources are understood, too, and links as Markdown has them.
    """
    if (link := _LINK.fullmatch(path)) is not None:
        path = link[1]
    if path.startswith("aca://"):
        return unquote(path.partition("/files/")[2]) or path
    for scheme in ("sandbox:", "file://", "file:", "attachment:", "session:///"):
        if path.startswith(scheme):
            return unquote(path.removeprefix(scheme).removeprefix("localhost"))
    return path


def below(path: str, *directories: str) -> str | None:
    """A path without what stands for the work directory; None if it is absolute elsewhere.

    Args:
        path: what somebody asked for.
        directories: the names that the work directory has; an empty one counts for nothing.
    """
    for directory in directories:
        base = directory.rstrip("/")
        if base and (path == base or path.startswith(f"{base}/")):
            return path[len(base) + 1 :]
    return None if path.startswith("/") else path


def parse_path(path: str, *work_directories: str) -> tuple[str, ...]:
    """Split a path, relative to the work directory or absolute within it, into its names.

    Args:
        path: what somebody asked for.
        work_directories: the names that the work directory has; the first is told in errors.

    Raises:
        InvalidPathError: it leaves the directory, or no file could have that name.
    """
    if (text := below(path, *work_directories)) is None:
        raise InvalidPathError(
            f"Only files below {work_directories[0]} can be reached. Give a path relative to it."
        )
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if ".." in parts:
        raise InvalidPathError("A path may not contain '..': give it from the work directory.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InvalidPathError("A path may not contain control characters.")
    try:
        encoded = [part.encode() for part in parts]
    except UnicodeEncodeError as error:
        raise InvalidPathError("A path may not contain half of a character.") from error
    if any(len(part) > _MAX_PART_BYTES for part in encoded) or (
        sum(map(len, encoded)) > _MAX_PATH_BYTES
    ):
        raise InvalidPathError("The path is too long for a file system.")
    return parts


def parse_file_path(path: str, *work_directories: str) -> tuple[str, ...]:
    """The same for the path of a file, which has at least one name.

    Raises:
        InvalidPathError: as ``parse_path``, or it names the work directory itself.
    """
    if not (parts := parse_path(path, *work_directories)):
        raise InvalidPathError("Give the name of a file.")
    return parts
