"""What files and directories may be called, as the service has it. Pure."""

from __future__ import annotations

from aca_mcp.emulator.service_errors import invalid_file_name, invalid_file_path
from aca_mcp.errors import InvalidPathError
from aca_mcp.paths import parse_path
from aca_mcp.pool import WORK_DIRECTORY

_IN_DIRECTORIES = frozenset("-_ @$&=;,#%^()")
_IN_FILES = _IN_DIRECTORIES | {"."}


def uploaded_name(file_name: str) -> str:
    """The name under which an uploaded file is kept: clients put whole paths there.

    Raises:
        ServiceError: the service does not take the name, which is judged as it was sent.
    """
    directories, _, name = file_name.rpartition("/")
    if not _is_plain(name, _IN_FILES) or ".." in directories.split("/"):
        raise invalid_file_name(name)
    return name


def named_file(name: str) -> str:
    """The name of a file of the work directory, which older clients give with its directory.

    Raises:
        ServiceError: no file of it can have that name.
    """
    try:
        parts = parse_path(name, WORK_DIRECTORY)
    except InvalidPathError:
        raise invalid_file_name(name) from None
    if len(parts) != 1:
        raise invalid_file_name(name)
    return parts[0]


def named_directory(path: str) -> str:
    """A directory below the work directory, without slashes at its ends.

    Raises:
        ServiceError: the service does not take it.
    """
    try:
        parts = parse_path(path, WORK_DIRECTORY)
    except InvalidPathError:
        raise invalid_file_path(path) from None
    # ``.`` alone stands for no name, and is not one of the parts.
    if not all(_is_plain(part, _IN_DIRECTORIES) for part in parts):
        raise invalid_file_path(path)
    return "/".join(parts)


def _is_plain(name: str, others: frozenset[str]) -> bool:
    return bool(name.strip(".")) and all(each.isalnum() or each in others for each in name)
