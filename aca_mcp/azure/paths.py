"""Paths as the service takes and gives them. Pure."""

from __future__ import annotations

from aca_mcp.errors import InvalidPathError
from aca_mcp.paths import parse_path
from aca_mcp.pool import WORK_DIRECTORY


def parse_file_path(path: str) -> tuple[str, str]:
    """Split the path of a file into its directory, empty at the top, and its name.

    Raises:
        InvalidPathError: as ``parse_path``, or it names the work directory itself.
    """
    parts = parse_path(path, WORK_DIRECTORY)
    if not parts:
        raise InvalidPathError("Give the name of a file.")
    return "/".join(parts[:-1]), parts[-1]


def is_plain_name(name: str) -> bool:
    """Whether a name that the service reports can be a part of a path."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name
