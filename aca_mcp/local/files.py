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
from functools import partial
from typing import TYPE_CHECKING, Literal

from aca_mcp.embedded.files import OpenFile, Parts, SessionFiles, Upload, check_target, entry_of
from aca_mcp.errors import InvalidPathError
from aca_mcp.open_beneath import make_directories_beneath, open_beneath
from aca_mcp.sandbox.syscalls import set_file_system_ids

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from aca_mcp.pool import FileEntry

_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class LocalFiles(SessionFiles):
    """The files of one session, below a descriptor.

    Args:
        base: of the directory that holds ``data`` and ``incoming``; the caller's to close.
        work_directory: where ``data`` is for the session's code.
        max_file_bytes: the largest file that is moved.
        max_bytes: that the work directory holds.
    """

    _link_in_the_way = frozenset({errno.ELOOP, errno.EXDEV})

    def __init__(self, base: int, work_directory: str, max_file_bytes: int, max_bytes: int) -> None:
        super().__init__(max_file_bytes, max_bytes, work_directory)
        self._base = base

    def _scan(self, directory: Parts) -> Iterator[tuple[str, FileEntry]]:
        descriptor = self._open_beneath(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as found:
                for item in found:
                    try:
                        status = item.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # code has removed it meanwhile
                    yield item.name, _entry((*directory, item.name), status)
        finally:
            os.close(descriptor)

    def _begin_upload(self, path: str, parts: Parts, *, overwrite: bool) -> Upload:
        with ExitStack() as undo:
            parent = make_directories_beneath(self._base, ("data", *parts[:-1]))
            undo.callback(os.close, parent)
            with suppress(FileNotFoundError):
                status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
                is_directory = stat.S_ISDIR(status.st_mode)
                check_target(path, is_directory=is_directory, overwrite=overwrite)
            # Code may have removed it: it lies in the session's own file system.
            incoming = make_directories_beneath(self._base, ("incoming",), 0o700)
            undo.callback(os.close, incoming)
            name = secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=incoming)
            undo.pop_all()
        return _Upload(
            path=path,
            most_bytes=self.max_file_bytes,
            overwrite=overwrite,
            files=self,
            parts=parts,
            parent=parent,
            incoming=incoming,
            name=name,
            descriptor=descriptor,
        )

    def _open(self, path: str, parts: Parts) -> OpenFile:
        descriptor = self._open_beneath(parts, _READ_FLAGS)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise InvalidPathError(f"{path} is not a regular file.")
        return OpenFile(
            _entry(parts, status), partial(os.read, descriptor), partial(os.close, descriptor)
        )

    def _delete(self, path: str, parts: Parts) -> None:
        del path
        parent = self._open_beneath(parts[:-1], os.O_PATH | os.O_DIRECTORY)
        try:
            status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(parts[-1], dir_fd=parent)
            else:
                os.unlink(parts[-1], dir_fd=parent)
        finally:
            os.close(parent)

    def _open_beneath(self, parts: Parts, flags: int) -> int:
        return open_beneath(self._base, ("data", *parts), flags)

    @contextmanager
    def reaching(self, path: str) -> Generator[None]:
        """With the session's identity, in this thread, where the server is root."""
        with self.as_session(), super().reaching(path):
            yield

    @contextmanager
    def as_session(self) -> Generator[None]:
        """Reach files with the session's identity, in this thread, where the server is root."""
        if os.geteuid() != 0:
            yield
            return
        owner = os.fstat(self._base)
        before = set_file_system_ids(owner.st_uid, owner.st_gid)
        try:
            yield
        finally:
            set_file_system_ids(*before)


@dataclass(slots=True, kw_only=True)
class _Upload(Upload):
    files: LocalFiles
    parts: Parts
    parent: int
    incoming: int
    name: str
    descriptor: int

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        with self.files.reaching(self.path):
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]

    def finish(self) -> FileEntry:
        put = os.rename if self.overwrite else os.link
        with self.files.reaching(self.path):
            put(self.name, self.parts[-1], src_dir_fd=self.incoming, dst_dir_fd=self.parent)
        return _entry(self.parts, os.fstat(self.descriptor))

    def close(self) -> None:
        with self.files.as_session(), suppress(OSError):
            os.unlink(self.name, dir_fd=self.incoming)
        for descriptor in (self.descriptor, self.incoming, self.parent):
            os.close(descriptor)


def _entry(parts: Parts, status: os.stat_result) -> FileEntry:
    kind: Literal["file", "directory", "other"] = "other"
    if stat.S_ISREG(status.st_mode):
        kind = "file"
    elif stat.S_ISDIR(status.st_mode):
        kind = "directory"
    return entry_of("/".join(parts), kind, status.st_size, status.st_mtime)
