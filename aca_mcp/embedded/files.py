"""The files of a session as pools of this machine hand them out, and what may be said of them.

How they are reached is each pool's own business. Everything that reaches them blocks, and is for
worker threads.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

import anyio.to_thread

from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    SessionFileError,
    StorageFullError,
)
from aca_mcp.paths import parse_file_path, parse_path
from aca_mcp.pool import WORK_DIRECTORY, FileEntry, FileListing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MAX_NAMED = 3
_MAX_NAME_CHARACTERS = 100
_MAX_DEPTH = 64
_CHUNK_BYTES = 2**20
"""Of a download, at most."""
_TIMES = (-62_135_596_800, 253_402_300_799)
"""The years 1 to 9999, which are all that ``datetime`` knows; code can set a file's time to any."""

Parts = tuple[str, ...]
"""The names that lead from the work directory to a file."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is being read."""

    entry: FileEntry
    """What it was when it was opened."""
    read: Callable[[int], bytes]
    """The next bytes, at most so many; none at its end."""
    close: Callable[[], None]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file as it was when it was opened; what code appends meanwhile is not read."""
        left = self.entry.size_bytes
        while left > 0:
            data = await anyio.to_thread.run_sync(self.read, min(_CHUNK_BYTES, left))
            if not data:
                return
            left -= len(data)
            yield data


@dataclass(slots=True, kw_only=True)
class Upload(ABC):
    """A file that is being written out of the session's sight. Made by ``begin_upload``."""

    path: str
    """As the caller gave it."""
    most_bytes: int
    overwrite: bool
    size_bytes: int = 0
    """Written so far."""

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            FileTooLargeError: they are more than may be uploaded.
            StorageFullError: the session has no room for them.
        """
        self.size_bytes += len(data)
        if self.size_bytes > self.most_bytes:
            raise FileTooLargeError(
                f"{self.path} is larger than the {self.most_bytes:,} bytes that one file may "
                "have (ACA_MCP_LOCAL_MAX_FILE_MIB). Nothing was uploaded; split it or compress it."
            )
        self._append(data)

    @abstractmethod
    def _append(self, data: bytes) -> None: ...

    @abstractmethod
    def finish(self) -> FileEntry:
        """Let the file appear under its name."""

    @abstractmethod
    def close(self) -> None:
        """Free what it holds, and leave nothing of a file that was not finished."""


class SessionFiles(ABC):
    """The work directory of one session. Everything may raise any ``SessionFileError``.

    Args:
        max_file_bytes: the largest file that is moved.
        max_bytes: that the work directory holds.
        work_directory: where it is for the session's code; paths may begin with it.
    """

    _link_in_the_way: ClassVar[frozenset[int]]
    """The numbers of errors by which the system says that a link is in the way."""

    def __init__(
        self, max_file_bytes: int, max_bytes: int, work_directory: str = WORK_DIRECTORY
    ) -> None:
        self._work_directory = work_directory
        self.max_bytes = max_bytes
        self.max_file_bytes = max_file_bytes
        self.max_entries = 1000
        """Of one listing."""

    @abstractmethod
    def _scan(self, directory: Parts) -> Iterator[tuple[str, FileEntry]]:
        """What is in a directory: name and entry of each."""

    @abstractmethod
    def _begin_upload(self, path: str, parts: Parts, *, overwrite: bool) -> Upload: ...

    @abstractmethod
    def _open(self, path: str, parts: Parts) -> OpenFile:
        """Open a regular file, and refuse everything else."""

    @abstractmethod
    def _delete(self, path: str, parts: Parts) -> None: ...

    def parse_path(self, path: str) -> Parts:
        """Split a path, relative to the work directory or absolute within it, into its names.

        Raises:
            InvalidPathError: it leaves the directory, or no file could have that name.
        """
        # The usual name is understood wherever the directory really is.
        return parse_path(path, self._work_directory, WORK_DIRECTORY)

    def list(self, directory: str, *, recursive: bool) -> FileListing:
        """List a directory: so many entries of it, sorted by path."""
        start = self.parse_path(directory)
        entries: list[FileEntry] = []
        truncated = False
        with self.reaching(directory or "the work directory"):
            for entry in self._walk(start, recursive=recursive):
                if truncated := len(entries) == self.max_entries:
                    break
                entries.append(entry)
        return FileListing(tuple(sorted(entries, key=lambda entry: entry.path)), truncated)

    def _walk(self, start: Parts, *, recursive: bool) -> Iterator[FileEntry]:
        # Only names are kept for later: a descriptor of each directory could be all that there are.
        pending = [start]
        while pending:
            parts = pending.pop()
            try:
                for name, entry in self._scan(parts):
                    yield entry
                    deep = len(parts) - len(start) >= _MAX_DEPTH
                    if recursive and entry.kind == "directory" and not deep:
                        pending.append((*parts, name))
            except OSError:
                if parts == start:
                    raise
                # Code has removed it meanwhile, or closed it.

    def begin_upload(self, path: str, *, overwrite: bool) -> Upload:
        """Begin a file that appears when it is finished."""
        parts = parse_file_path(path, self._work_directory, WORK_DIRECTORY)
        with self.reaching(path):
            return self._begin_upload(path, parts, overwrite=overwrite)

    def open_download(self, path: str) -> OpenFile:
        """Open a regular file for reading; closing it is the caller's."""
        with self.reaching(path):
            file = self._open(path, self.parse_path(path))
        if (size := file.entry.size_bytes) > self.max_file_bytes:
            file.close()
            raise FileTooLargeError(
                f"{path} has {size:,} bytes; at most {self.max_file_bytes:,} can be downloaded "
                "(ACA_MCP_LOCAL_MAX_FILE_MIB). Let code compress it or split it."
            )
        return file

    def delete(self, path: str) -> None:
        """Delete a file, a link, or an empty directory."""
        parts = self.parse_path(path)
        if not parts:
            raise InvalidPathError("The work directory itself cannot be deleted.")
        with self.reaching(path):
            self._delete(path, parts)

    def largest(self) -> str:
        """The largest files among the first that are found: a clause; empty if there are none."""
        with suppress(SessionFileError):
            files = [each for each in self.list("", recursive=True).entries if each.size_bytes]
            files.sort(key=lambda each: -each.size_bytes)
            return ", ".join(map(_named, files[:_MAX_NAMED]))
        return ""

    def full(self, path: str) -> StorageFullError:
        """That there is no room for a file, and what is there."""
        largest = self.largest()
        return StorageFullError(
            f"The session's work directory is full: {path} was not written. It holds "
            f"{self.max_bytes // 2**20:,} MiB (ACA_MCP_LOCAL_DISK_MIB)"
            f"{f', most of it in {largest}' if largest else ''}. Delete files that are not needed."
        )

    @contextmanager
    def reaching(self, path: str) -> Generator[None]:
        """Reach files, and translate what the system says of a path."""
        try:
            yield
        except OSError as error:
            if error.errno in self._link_in_the_way:
                raise InvalidPathError(
                    f"{path} leads through a symbolic link, which is not followed."
                ) from error
            if error.errno in _FULL:
                raise self.full(path) from error
            raise _translated(error, path) from error


def entry_of(
    path: str, kind: Literal["file", "directory", "other"], size: int, modified: float
) -> FileEntry:
    """An entry, whatever its name and its time are.

    Args:
        path: relative to the work directory; what is no UTF-8 in it is shown with backslashes.
        kind: of it.
        size: in bytes; told of files alone.
        modified: in seconds since 1970.
    """
    return FileEntry(
        path.encode("utf-8", "backslashreplace").decode("utf-8"),
        kind,
        size if kind == "file" else 0,
        datetime.fromtimestamp(min(max(modified, _TIMES[0]), _TIMES[1]), UTC),
    )


def check_target(path: str, *, is_directory: bool, overwrite: bool) -> None:
    """See that what is there may be replaced by an upload.

    Raises:
        InvalidPathError: it is a directory.
        FileExistsInSessionError: it may not.
    """
    if is_directory:
        raise InvalidPathError(f"{path} is a directory.")
    if not overwrite:
        raise FileExistsInSessionError(f"{path} is there already, and was not overwritten.")


def _named(entry: FileEntry) -> str:
    name = entry.path if entry.path.isprintable() else ascii(entry.path)
    return f"{name[-_MAX_NAME_CHARACTERS:]} ({entry.size_bytes / 2**20:,.1f} MiB)"


def _translated(error: OSError, path: str) -> SessionFileError:
    match error.errno:
        case errno.ENOENT:
            return FileMissingError(f"There is no {path} in the session. List the files to see.")
        case errno.EEXIST:
            return FileExistsInSessionError(f"{path} is there already, and was not overwritten.")
        case errno.ENOTDIR:
            return InvalidPathError(f"{path} leads through something that is not a directory.")
        case errno.EISDIR:
            return InvalidPathError(f"{path} is a directory.")
        case errno.ENOTEMPTY:
            return InvalidPathError(f"{path} is a directory with something in it.")
        case errno.ENXIO:
            return InvalidPathError(f"{path} is not a regular file.")
        case errno.EACCES | errno.EPERM:
            return InvalidPathError(f"The session's code has made {path} inaccessible.")
        case _:
            return SessionFileError(f"{path} cannot be reached: {error.strerror}.")
