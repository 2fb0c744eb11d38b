"""The files of a session, reached from outside it through a descriptor of its directory.

Nothing is asked of the session's process, so this works while code runs, and nothing that the
code puts into its directory (links, FIFOs, trees without end) leads anywhere else. All functions
block, and are for worker threads.

A session without a mount namespace has its directory among the host's own; there and wherever the
server is root, files are reached with the session's identity, never with root's.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import anyio.to_thread

from aca_mcp.beneath import make_directories_beneath, open_beneath
from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    SessionFileError,
    SessionPoolError,
    StorageFullError,
)
from aca_mcp.paths import parse_path
from aca_mcp.pool import WORK_DIRECTORY, FileEntry, FileListing
from aca_mcp.sandbox.syscalls import set_file_system_ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

MAX_ENTRIES = 1000
_MAX_DEPTH = 64
_TIMES = (-62_135_596_800, 253_402_300_799)
"""The years 1 to 9999, which are all that ``datetime`` knows; code can set a file's time to any."""

_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """The files of one session."""

    base: int
    """A descriptor of the directory that holds ``data`` and ``incoming``."""
    work_directory: str
    """Where ``data`` is for the session's code; paths may begin with it."""
    max_file_bytes: int

    def parse_path(self, path: str) -> tuple[str, ...]:
        """Split a path, relative to the work directory or absolute within it, into its names.

        Raises:
            InvalidPathError: it leaves the directory, or no file could have that name.
        """
        # The usual name is understood wherever the directory really is.
        return parse_path(path, self.work_directory, WORK_DIRECTORY)

    def list(self, directory: str, *, recursive: bool) -> FileListing:
        """List a directory, at most ``MAX_ENTRIES`` entries of it."""
        parts = self.parse_path(directory)
        entries: list[FileEntry] = []
        with self.as_session(), _errors_of(directory or "the work directory"):
            for entry in self._walk(parts, recursive=recursive):
                if len(entries) == MAX_ENTRIES:
                    return FileListing(_sorted(entries), truncated=True)
                entries.append(entry)
        return FileListing(_sorted(entries), truncated=False)

    def begin_upload(self, path: str, *, overwrite: bool) -> Upload:
        """Begin a file that appears when it is finished."""
        parts = self.parse_path(path)
        if not parts:
            raise InvalidPathError("Give the name of a file.")
        with self.as_session(), _errors_of(path), ExitStack() as undo:
            parent = make_directories_beneath(self.base, ("data", *parts[:-1]))
            undo.callback(os.close, parent)
            _refuse_target(parent, parts[-1], path, overwrite=overwrite)
            # Code may have removed it: it lies in the session's own file system.
            incoming = make_directories_beneath(self.base, ("incoming",), 0o700)
            undo.callback(os.close, incoming)
            name = secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=incoming)
            undo.pop_all()
        return Upload(self, path, parts, parent, incoming, name, descriptor, overwrite)

    def open_download(self, path: str) -> tuple[int, FileEntry]:
        """Open a regular file for reading; the descriptor is the caller's to close."""
        parts = self.parse_path(path)
        with self.as_session(), _errors_of(path):
            descriptor = self._open(parts, _READ_FLAGS)
        status = os.fstat(descriptor)
        try:
            if not stat.S_ISREG(status.st_mode):
                raise InvalidPathError(f"{path} is not a regular file.")
            if status.st_size > self.max_file_bytes:
                raise FileTooLargeError(
                    f"{path} has {status.st_size:,} bytes; at most {self.max_file_bytes:,} can be "
                    "downloaded. Let code compress it or split it."
                )
        except SessionPoolError:
            os.close(descriptor)
            raise
        return descriptor, _entry("/".join(parts), status)

    def delete(self, path: str) -> None:
        """Delete a file, a link, or an empty directory."""
        parts = self.parse_path(path)
        if not parts:
            raise InvalidPathError("The work directory itself cannot be deleted.")
        with self.as_session(), _errors_of(path):
            parent = self._open(parts[:-1], os.O_PATH | os.O_DIRECTORY)
            try:
                status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    os.rmdir(parts[-1], dir_fd=parent)
                else:
                    os.unlink(parts[-1], dir_fd=parent)
            finally:
                os.close(parent)

    def _walk(self, start: tuple[str, ...], *, recursive: bool) -> Iterator[FileEntry]:
        # Only names are kept for later: a descriptor of each directory could be all that there are.
        pending = [start]
        while pending:
            parts = pending.pop()
            try:
                directory = self._open(parts, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                if parts == start:
                    raise
                continue  # code has removed it meanwhile, or closed it
            try:
                with os.scandir(directory) as found:
                    for item in found:
                        try:
                            status = item.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        here = (*parts, item.name)
                        yield _entry("/".join(here), status)
                        deep = len(here) - len(start) > _MAX_DEPTH
                        if recursive and stat.S_ISDIR(status.st_mode) and not deep:
                            pending.append(here)
            finally:
                os.close(directory)

    def _open(self, parts: tuple[str, ...], flags: int) -> int:
        return open_beneath(self.base, ("data", *parts), flags)

    @contextmanager
    def as_session(self) -> Generator[None]:
        """Reach files with the session's identity, in this thread, where the server is root."""
        if os.geteuid() != 0:
            yield
            return
        owner = os.fstat(self.base)
        before = set_file_system_ids(owner.st_uid, owner.st_gid)
        try:
            yield
        finally:
            set_file_system_ids(*before)


@dataclass(slots=True)
class Upload:
    """A file that is being written out of the session's sight. Made by ``begin_upload``."""

    _files: SessionFiles
    _path: str
    _parts: tuple[str, ...]
    _parent: int
    _incoming: int
    _name: str
    _descriptor: int
    _overwrite: bool
    _size: int = 0

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            FileTooLargeError: they are more than may be uploaded.
            StorageFullError: the session has no room for them.
        """
        self._size += len(data)
        if self._size > self._files.max_file_bytes:
            raise FileTooLargeError(
                f"{self._path} is larger than the {self._files.max_file_bytes:,} bytes that one "
                "file may have. Nothing was uploaded; split it or compress it."
            )
        rest = memoryview(data)
        with _errors_of(self._path):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def finish(self) -> FileEntry:
        """Let the file appear under its name."""
        last = self._parts[-1]
        with self._files.as_session(), _errors_of(self._path):
            if self._overwrite:
                os.rename(self._name, last, src_dir_fd=self._incoming, dst_dir_fd=self._parent)
            else:
                os.link(self._name, last, src_dir_fd=self._incoming, dst_dir_fd=self._parent)
        return _entry("/".join(self._parts), os.fstat(self._descriptor))

    def close(self) -> None:
        """Free what it holds, and leave nothing of a file that was not finished."""
        with self._files.as_session(), suppress(OSError):
            os.unlink(self._name, dir_fd=self._incoming)
        for descriptor in (self._descriptor, self._incoming, self._parent):
            os.close(descriptor)


def _refuse_target(parent: int, name: str, path: str, *, overwrite: bool) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        raise InvalidPathError(f"{path} is a directory.")
    if not overwrite:
        raise FileExistsInSessionError(f"{path} is there already, and was not overwritten.")


def _sorted(entries: list[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _entry(path: str, status: os.stat_result) -> FileEntry:
    kind: Literal["file", "directory", "other"] = "other"
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "directory"
    return FileEntry(
        path.encode("utf-8", "backslashreplace").decode("utf-8"),
        kind,
        status.st_size if kind == "file" else 0,
        datetime.fromtimestamp(min(max(status.st_mtime, _TIMES[0]), _TIMES[1]), UTC),
    )


@contextmanager
def _errors_of(path: str) -> Generator[None]:
    """Translate what the operating system says of a path."""
    try:
        yield
    except OSError as error:
        raise _translated(error, path) from error


def _translated(error: OSError, path: str) -> SessionFileError:
    match error.errno:
        case errno.ENOENT:
            return FileMissingError(f"There is no {path} in the session. List the files to see.")
        case errno.EEXIST:
            return FileExistsInSessionError(f"{path} is there already, and was not overwritten.")
        case errno.ELOOP | errno.EXDEV:
            return InvalidPathError(f"{path} leads through a symbolic link, which is not followed.")
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
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return StorageFullError(
                f"The session's work directory is full: {path} was not written. Delete files "
                "that are not needed."
            )
        case _:
            return SessionFileError(f"{path} cannot be reached: {error.strerror}.")


CHUNK_BYTES = 1 << 20
"""Of a download, at most."""


async def read_chunks(descriptor: int, size: int) -> AsyncIterator[bytes]:
    """The file as it was when it was opened; what code appends meanwhile is not read."""
    left = size
    while left > 0:
        data = await anyio.to_thread.run_sync(os.read, descriptor, min(CHUNK_BYTES, left))
        if not data:
            return
        left -= len(data)
        yield data
