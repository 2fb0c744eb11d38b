"""The files of one session as the pool hands them out. Blocking: call in a worker thread."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aca_mcp.embedded.files import OpenFile, Parts, SessionFiles, Upload, check_target, entry_of
from aca_mcp.errors import InvalidPathError
from aca_mcp.wasm.wasi_files import Status, WasiFiles

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from aca_mcp.pool import FileEntry

_DATA, _INCOMING = 0, 1


class WasmFiles(SessionFiles):
    """The files of one session, by way of WASI.

    Args:
        storage: the directory of this machine that holds ``data`` and ``incoming``.
        max_file_bytes: the largest file that is moved.
        max_bytes: of all files of the session together.
    """

    # A link that leads out is refused by WASI as something that there is no right to.
    _link_in_the_way = frozenset({errno.ELOOP, errno.EPERM})

    def __init__(self, storage: Path, max_file_bytes: int, max_bytes: int) -> None:
        super().__init__(max_file_bytes, max_bytes)
        self._storage = storage
        self._counting = threading.Lock()
        self._changes = 0
        self._used: int | None = None
        self._in_flight = 0
        """Bytes that were counted and may not be written yet: the directory need not have them."""
        self._files = WasiFiles(storage / "data", storage / "incoming")

    def close(self) -> None:
        """Close all that is open."""
        self._files.close()

    @property
    def known_bytes(self) -> int | None:
        """What the session's files take, if nothing has changed since that was looked at."""
        return self._used

    def note_change(self) -> None:
        """What was counted need not hold any more: code runs, or has run."""
        with self._counting:
            self._changes += 1
            self._used = None

    def used_bytes(self) -> int:
        """What the session's files take; each entry counts as 4 KiB at least."""
        changes = self._changes
        used = size_of(self._storage)
        with self._counting:
            if changes == self._changes:
                self._used = used + self._in_flight
        return used

    @contextmanager
    def room(self, path: str, count: int) -> Generator[None]:
        """Count bytes that are written within.

        Raises:
            StorageFullError: there is no room for so many.
        """
        known = self._used
        measured = self.used_bytes() if known is None else known
        with self._counting:
            used = measured + self._in_flight if self._used is None else self._used
            if used + count > self.max_bytes:
                raise self.full(path)
            self._changes += 1
            self._used = used + count
            self._in_flight += count
        try:
            yield
        finally:
            with self._counting:
                self._in_flight -= count

    def _scan(self, directory: Parts) -> Iterator[tuple[str, FileEntry]]:
        for name in self._files.names(_DATA, "/".join(directory)):
            path = "/".join((*directory, name))
            try:
                status = self._files.status(_DATA, path)
            except FileNotFoundError:
                continue  # code has removed it meanwhile
            yield name, _entry(path, status)

    def _begin_upload(self, path: str, parts: Parts, *, overwrite: bool) -> Upload:
        for end in range(1, len(parts)):
            with suppress(FileExistsError):
                self._files.make_directory(_DATA, "/".join(parts[:end]))
            self._refuse_link(parts[:end], path)
        target = "/".join(parts)
        with suppress(FileNotFoundError):
            is_directory = self._files.status(_DATA, target).kind == "directory"
            check_target(path, is_directory=is_directory, overwrite=overwrite)
        name = secrets.token_hex(8)
        self.note_change()
        return _Upload(
            path=path,
            most_bytes=self.max_file_bytes,
            overwrite=overwrite,
            session=self,
            files=self._files,
            target=target,
            name=name,
            descriptor=self._files.open(_INCOMING, name, create=True),
        )

    def _open(self, path: str, parts: Parts) -> OpenFile:
        self._refuse_links(parts, path)
        where = "/".join(parts)
        if self._files.status(_DATA, where or ".").kind != "file":
            raise InvalidPathError(f"{path} is not a regular file.")
        descriptor = self._files.open(_DATA, where)
        status = self._files.file_status(descriptor)
        return OpenFile(
            _entry(where, status), partial(self._read, descriptor), partial(self._close, descriptor)
        )

    def _read(self, descriptor: int, count: int) -> bytes:
        with self.reaching("the file"):
            return self._files.read(descriptor, count)

    def _close(self, descriptor: int) -> None:
        with suppress(OSError):  # its session has closed it
            self._files.close_file(descriptor)

    def _delete(self, path: str, parts: Parts) -> None:
        self._refuse_links(parts[:-1], path)
        where = "/".join(parts)
        if self._files.status(_DATA, where).kind == "directory":
            self._files.remove_directory(_DATA, where)
        else:
            self._files.remove(_DATA, where)
        self.note_change()

    def _refuse_links(self, parts: Parts, path: str) -> None:
        for end in range(1, len(parts) + 1):
            self._refuse_link(parts[:end], path)

    def _refuse_link(self, parts: Parts, path: str) -> None:
        # WASI would follow it within the work directory; a path means what it says.
        if self._files.status(_DATA, "/".join(parts)).kind == "link":
            raise InvalidPathError(f"{path} leads through a symbolic link, which is not followed.")


@dataclass(slots=True, kw_only=True)
class _Upload(Upload):
    session: WasmFiles
    files: WasiFiles
    target: str
    name: str
    descriptor: int

    def _append(self, data: bytes) -> None:
        with self.session.room(self.path, len(data)), self.session.reaching(self.path):
            self.files.write(self.descriptor, data)

    def finish(self) -> FileEntry:
        put = self.files.rename if self.overwrite else self.files.link
        with self.session.reaching(self.path):
            status = self.files.file_status(self.descriptor)
            put((_INCOMING, self.name), (_DATA, self.target))
        self.session.note_change()
        return _entry(self.target, status)

    def close(self) -> None:
        with suppress(OSError):
            self.files.close_file(self.descriptor)
        with suppress(OSError):
            self.files.remove(_INCOMING, self.name)
        self.session.note_change()


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


def _entry(path: str, status: Status) -> FileEntry:
    kind = "other" if status.kind == "link" else status.kind
    return entry_of(path, kind, status.size, status.modified_ns / 1e9)
