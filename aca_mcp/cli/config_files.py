"""A client's configuration file on this machine: read with care, replaced whole, a copy kept.

A project's file may come from a stranger's repository: its name may stand for a device, a FIFO or
a link that leads out of the project, and none of them is read or written.
"""

from __future__ import annotations

import difflib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aca_mcp.cli.transfers import write_out, written_whole
from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_PRIVATE = 0o600
"""A new file's mode: clients keep secrets in theirs."""
_MAX_BYTES = 64 << 20
_BACKUP_SUFFIX = ".aca-mcp-backup"


def find(path: Path, *, project: Path | None) -> Path:
    """The file itself: of a user, behind the links by which people keep such files elsewhere.

    Args:
        path: the file that the client reads, whether it is there or not.
        project: the directory that it must be in, without any link on the way; None for a user's.

    Raises:
        SettingsError: it is not there without a link, or is no regular file.
    """
    with explained(path):
        if project is None:
            path = path.resolve()
        else:
            step = project
            for part in path.relative_to(project).parts:
                step /= part
                if step.is_symlink():
                    raise SettingsError(
                        f"{path} was not touched: {step} is a link, and a project's file is used "
                        "only where it lies in the project itself."
                    )
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            kind = "a directory" if path.is_dir() else "no regular file"
            raise SettingsError(f"{path} was not touched: it is {kind}.")
    return path


def read(path: Path) -> str:
    """What a file that ``find`` gave has; empty if it is not there.

    Raises:
        SettingsError: it cannot be read as text, or is larger than such files are.
    """
    # It may have been exchanged since it was looked at: a FIFO must not block, nor a link lead on.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with explained(path):
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SettingsError(f"{path} was not touched: it is no regular file.")
            data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise SettingsError(f"{path} was not touched: it is larger than {_MAX_BYTES >> 20} MiB.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SettingsError(
            f"{path} was not changed: it is not UTF-8. Correct it, or add the entry yourself; "
            "--print shows it."
        ) from None


def replace(path: Path, text: str, *, private: bool) -> Path | None:
    """Write a file whole or not at all; what was there before lies beside it, once.

    Args:
        path: what ``find`` gave.
        text: all of it.
        private: its owner alone may read it, whoever could before.

    Returns:
        Where the content of before is, if there was any.

    Raises:
        SettingsError: it cannot be written.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        backup = None
        mode = _PRIVATE
        if path.exists():
            backup = path.with_name(path.name + _BACKUP_SUFFIX)
            with written_whole(backup, _PRIVATE) as partial:
                partial.write_bytes(path.read_bytes())
            mode = _PRIVATE if private else path.stat().st_mode & 0o777
        with written_whole(path, mode) as partial:
            partial.write_bytes(text.encode())
    return backup


def show_difference(path: Path, old: str, new: str) -> None:
    """Print what changes, without anything that could drive a terminal."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(path), str(path), "before", "after", lineterm=""
    )
    for line in lines:
        # A project's file may come from anywhere.
        shown = "".join(mark if mark.isprintable() or mark == "\t" else "\ufffd" for mark in line)
        write_out(f"{shown}\n")


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn what the operating system says into the sentence to show."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{path} was not changed: {error.strerror}.") from None
