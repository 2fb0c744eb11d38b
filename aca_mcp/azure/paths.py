"""What a path of a session may be, before the service is asked. Pure."""

from __future__ import annotations

from aca_mcp.errors import InvalidPathError
from aca_mcp.pool import WORK_DIRECTORY

_MAX_PART_BYTES = 255
_MAX_PATH_BYTES = 3000


def parse_path(path: str) -> tuple[str, ...]:
    """Split a path, relative to the work directory or absolute within it, into its names.

    Raises:
        InvalidPathError: it leaves the directory, or no file could have that name.
    """
    text = path
    if path.startswith("/"):
        if path != WORK_DIRECTORY and not path.startswith(f"{WORK_DIRECTORY}/"):
            raise InvalidPathError(
                f"Only files below {WORK_DIRECTORY} can be reached. Give a path relative to it."
            )
        text = path.removeprefix(WORK_DIRECTORY)
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


def parse_file_path(path: str) -> tuple[str, str]:
    """Split the path of a file into its directory, empty at the top, and its name.

    Raises:
        InvalidPathError: as ``parse_path``, or it names the work directory itself.
    """
    parts = parse_path(path)
    if not parts:
        raise InvalidPathError("Give the name of a file.")
    return "/".join(parts[:-1]), parts[-1]


def is_plain_name(name: str) -> bool:
    """Whether a name that the service reports can be a part of a path."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name
