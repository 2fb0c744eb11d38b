"""The files of one session as the pool hands them out. Blocking: call in a worker thread."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    SessionFileError,
    StorageFullError,
)
from aca_mcp.paths import parse_path
from aca_mcp.pool import WORK_DIRECTORY, FileEntry, FileListing
from aca_mcp.wasm.wasi_files import Status, WasiFiles

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MAX_ENTRIES = 1000
_MAX_DEPTH = 64
_LATEST_SECONDS = 253_402_300_799
"""The end of the year 9999, which is all that ``datetime`` knows."""
_DATA, _INCOMING = 0, 1


class SessionFiles:
    """The work directory of one session.

    Args:
        storage: the directory of this machine that holds ``data`` and ``incoming``.
        max_file_bytes: the largest file that is moved.
        max_bytes: of all files of the session together.
    """

    def __init__(self, storage: Path, max_file_bytes: int, max_bytes: int) -> None:
        self._storage = storage
        self._files = WasiFiles(storage / "data", storage / "incoming")
        self.max_file_bytes = max_file_bytes
        self.max_bytes = max_bytes

    def close(self) -> None:
        """Close all that is open."""
        self._files.close()

    def used_bytes(self) -> int:
        """What the session's files take; each entry counts as 4 KiB at least."""
        return size_of(self._storage)

    def list(self, directory: str, *, recursive: bool) -> FileListing:
        """List a directory, at most ``MAX_ENTRIES`` entries of it.

        Raises:
            SessionFileError: it cannot be listed.
        """
        start = self._parse(directory)
        entries: list[FileEntry] = []
        pending = [start]
        while pending:
            parts = pending.pop()
            with errors_of(directory or "the work directory"):
                for name in self._files.names(_DATA, "/".join(parts)):
                    here = (*parts, name)
                    path = "/".join(here)
                    try:
                        status = self._files.status(_DATA, path)
                    except FileNotFoundError:
                        continue  # code has removed it meanwhile
                    if len(entries) == MAX_ENTRIES:
                        return FileListing(_sorted(entries), truncated=True)
                    entries.append(_entry(path, status))
                    deep = len(here) - len(start) > _MAX_DEPTH
                    if recursive and status.kind == "directory" and not deep:
                        pending.append(here)
        return FileListing(_sorted(entries), truncated=False)

    def begin_upload(self, path: str, *, overwrite: bool) -> Upload:
        """Begin a file that appears when it is finished.

        Raises:
            SessionFileError: it cannot be written there.
        """
        parts = self._parse(path)
        if not parts:
            raise InvalidPathError("Give the name of a file.")
        with errors_of(path):
            for end in range(1, len(parts)):
                with suppress(FileExistsError):
                    self._files.make_directory(_DATA, "/".join(parts[:end]))
                self._refuse_link(parts[:end], path)
            with suppress(FileNotFoundError):
                status = self._files.status(_DATA, "/".join(parts))
                if status.kind == "directory":
                    raise InvalidPathError(f"{path} is a directory.")
                if not overwrite:
                    raise FileExistsInSessionError(
                        f"{path} is there already, and was not overwritten."
                    )
            name = secrets.token_hex(8)
            descriptor = self._files.open(_INCOMING, name, create=True)
        return Upload(self, self._files, path, "/".join(parts), name, descriptor, overwrite)

    def open_download(self, path: str) -> tuple[int, FileEntry]:
        """Open a regular file for reading; ``close_file`` is the caller's to call.

        Raises:
            SessionFileError: it cannot be read.
        """
        parts = self._parse(path)
        with errors_of(path):
            for end in range(1, len(parts) + 1):
                self._refuse_link(parts[:end], path)
            if self._files.status(_DATA, "/".join(parts) or ".").kind != "file":
                raise InvalidPathError(f"{path} is not a regular file.")
            descriptor = self._files.open(_DATA, "/".join(parts))
            status = self._files.file_status(descriptor)
        if status.size > self.max_file_bytes:
            self._files.close_file(descriptor)
            raise FileTooLargeError(
                f"{path} has {status.size:,} bytes; at most {self.max_file_bytes:,} can be "
                "downloaded. Let code compress it or split it."
            )
        return descriptor, _entry("/".join(parts), status)

    def read(self, descriptor: int, count: int) -> bytes:
        """The next bytes of a file; none at its end."""
        with errors_of("the file"):
            return self._files.read(descriptor, count)

    def close_file(self, descriptor: int) -> None:
        """Close a file that was opened for reading."""
        with suppress(OSError):
            self._files.close_file(descriptor)

    def delete(self, path: str) -> None:
        """Delete a file, a link, or an empty directory.

        Raises:
            SessionFileError: it cannot be deleted.
        """
        parts = self._parse(path)
        if not parts:
            raise InvalidPathError("The work directory itself cannot be deleted.")
        where = "/".join(parts)
        with errors_of(path):
            for end in range(1, len(parts)):
                self._refuse_link(parts[:end], path)
            if self._files.status(_DATA, where).kind == "directory":
                self._files.remove_directory(_DATA, where)
            else:
                self._files.remove(_DATA, where)

    def _parse(self, path: str) -> tuple[str, ...]:
        return parse_path(path, WORK_DIRECTORY)

    def _refuse_link(self, parts: tuple[str, ...], path: str) -> None:
        # WASI would follow it within the work directory; a path means what it says.
        if self._files.status(_DATA, "/".join(parts)).kind == "link":
            raise InvalidPathError(f"{path} leads through a symbolic link, which is not followed.")


@dataclass(slots=True)
class Upload:
    """A file that is being written out of the session's sight. Made by ``begin_upload``."""

    _session: SessionFiles
    _files: WasiFiles
    _path: str
    _target: str
    _name: str
    _descriptor: int
    _overwrite: bool
    _size: int = 0
    _checked: int = 0

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            FileTooLargeError: they are more than may be uploaded.
            StorageFullError: the session has no room for them.
        """
        self._size += len(data)
        if self._size > self._session.max_file_bytes:
            raise FileTooLargeError(
                f"{self._path} is larger than the {self._session.max_file_bytes:,} bytes that one "
                "file may have. Nothing was uploaded; split it or compress it."
            )
        if self._session.used_bytes() + len(data) > self._session.max_bytes:
            raise _full(self._path)
        with errors_of(self._path):
            self._files.write(self._descriptor, data)

    def finish(self) -> FileEntry:
        """Let the file appear under its name."""
        with errors_of(self._path):
            status = self._files.file_status(self._descriptor)
            old, new = (_INCOMING, self._name), (_DATA, self._target)
            if self._overwrite:
                self._files.rename(old, new)
            else:
                self._files.link(old, new)
        return _entry(self._target, status)

    def close(self) -> None:
        """Free what it holds, and leave nothing of a file that was not finished."""
        with suppress(OSError):
            self._files.close_file(self._descriptor)
        with suppress(OSError):
            self._files.remove(_INCOMING, self._name)


def size_of(directory: Path) -> int:
    """Bytes below a directory, each entry at least 4 KiB. Links are not followed."""
    total = 0
    pending = [str(directory)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    total += max(4096, status.st_size)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue  # code is removing it
    return total


def _sorted(entries: list[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _entry(path: str, status: Status) -> FileEntry:
    kind: Literal["file", "directory", "other"] = "other" if status.kind == "link" else status.kind
    modified = min(status.modified_ns / 1e9, _LATEST_SECONDS)
    size = status.size if kind == "file" else 0
    return FileEntry(path, kind, size, datetime.fromtimestamp(modified, UTC))


@contextmanager
def errors_of(path: str) -> Generator[None]:
    """Translate what WASI says of a path."""
    try:
        yield
    except OSError as error:
        raise _translated(error, path) from error


def _full(path: str) -> StorageFullError:
    return StorageFullError(
        f"The session's work directory is full: {path} was not written. Delete files that are "
        "not needed."
    )


def _translated(error: OSError, path: str) -> SessionFileError:
    match error.errno:
        case errno.ENOENT:
            return FileMissingError(f"There is no {path} in the session. List the files to see.")
        case errno.EEXIST:
            return FileExistsInSessionError(f"{path} is there already, and was not overwritten.")
        case errno.ELOOP | errno.EPERM:
            return InvalidPathError(f"{path} leads through a symbolic link, which is not followed.")
        case errno.ENOTDIR:
            return InvalidPathError(f"{path} leads through something that is not a directory.")
        case errno.EISDIR:
            return InvalidPathError(f"{path} is a directory.")
        case errno.ENOTEMPTY:
            return InvalidPathError(f"{path} is a directory with something in it.")
        case errno.EACCES:
            return InvalidPathError(f"The session's code has made {path} inaccessible.")
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return _full(path)
        case _:
            return SessionFileError(f"{path} cannot be reached: {error.strerror}.")
