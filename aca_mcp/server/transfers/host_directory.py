"""The one host directory whose files a model may copy, confined whatever path the model gives.

Nothing outside the directory is reached, no link is followed, nothing but plain files is read or
replaced, and how much is written there is bounded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from aca_mcp.errors import HostPathRefusedError
from aca_mcp.open_beneath import LOOK, O_NONBLOCK, make_directories_beneath, open_beneath
from aca_mcp.pool import FileListing
from aca_mcp.server.transfers.host_entries import Entries, directories_below, entries_below
from aca_mcp.server.transfers.host_names import (
    check_untrusted,
    directory_parts,
    host_parts,
    refuse,
    relative_path,
    why_unreadable,
)
from aca_mcp.server.transfers.matching import close_to, closest, composed, is_pattern, named
from aca_mcp.server.transfers.write_budget import WriteBudget

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Collection,
        Generator,
        Sequence,
    )
    from pathlib import Path

_CHUNK_BYTES = 1 << 20
_EXISTS = "it is there already. Pass overwrite=true to replace it"
MAX_LISTED = 500
"""Entries of one listing, and files of one directory or pattern that are copied at once."""


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files that a path stands for."""

    paths: tuple[str, ...]
    left_out: str = ""
    """A line about what is there and is none of them, because it cannot be copied."""


class WorkDir:
    """An open directory of the host. Blocking calls are made in worker threads."""

    def __init__(self, directory: Path, *, max_written_bytes: int) -> None:
        """Open the directory; it stays this one, even if it is moved.

        Args:
            directory: its path.
            max_written_bytes: how much may be written there while this object lives.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = str(directory)
        self._budget = WriteBudget(max_written_bytes, max_written_bytes)
        self._root = _open_directory(directory)

    def close(self) -> None:
        """Close the directory."""
        os.close(self._root)

    async def list_paths(self) -> Sequence[str]:
        """The paths of all files below the directory, as far as they are listed."""
        listing, _ = await self.list(pattern="*")
        return [file.path for file in listing.entries]

    async def list(self, directory: str = "", pattern: str = "") -> tuple[FileListing, str]:
        """What is there that may be copied, sorted by path, and a line about what may not.

        Args:
            directory: a subdirectory; empty for all.
            pattern: looked for below it, at any depth; empty for what lies directly in it.

        Raises:
            HostPathRefusedError: there is no such directory, or it may not be read.
        """
        parts = directory_parts(relative_path(directory, self.path), why=why_unreadable)
        run = anyio.to_thread.run_sync
        with _explained(directory):
            try:
                entries = await run(self._entries, parts, pattern)
            except FileNotFoundError:
                parts = await self._directory_like(directory, "/".join(parts))
                entries = await run(self._entries, parts, pattern)
            except NotADirectoryError:
                refuse(directory, "it is a file or a link, and no directory")
        found = sorted(entries.found, key=lambda entry: entry.path)
        is_cut = not entries.is_whole or len(found) > MAX_LISTED
        return FileListing(tuple(found[:MAX_LISTED]), is_cut), entries.note_left_out()

    async def find(self, path: str) -> FoundFiles:
        """The files that a path stands for: itself, those of a directory, or those of a pattern.

        Raises:
            HostPathRefusedError: there are none, or more than are copied at once.
        """
        wanted = relative_path(path, self.path)
        why = "there is no such file"
        with _explained(path):
            try:
                parts = directory_parts(wanted, why=why_unreadable)
                if stat.S_ISDIR(await anyio.to_thread.run_sync(self._mode, parts)):
                    return await self._of(path, parts)
                return FoundFiles(("/".join(parts),))
            except FileNotFoundError:
                pass
            except HostPathRefusedError as error:
                if not is_pattern(wanted):
                    near = close_to(await self.near(wanted))
                    raise HostPathRefusedError(f"{error} {near}".strip()) from None
            if is_pattern(wanted):
                why = "no file is there that may be copied"
            return await self._of(path, (), wanted, why)

    async def suggest(self, path: str) -> str | None:
        """A file that somebody means who names it so, where there is exactly one; else None."""
        with contextlib.suppress(HostPathRefusedError, OSError):
            parts = host_parts(path, self.path, why_unreadable)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if stat.S_ISREG(await anyio.to_thread.run_sync(self._mode, parts)):
                    return "/".join(parts)
        name = composed(relative_path(path).rpartition("/")[2])
        paths = await self._all_paths()
        same = [each for each in paths if composed(each.rpartition("/")[2]) == name]
        return same[0] if len(same) == 1 else None

    async def near(self, path: str) -> list[str]:
        """The files whose names are close to one that is not there, the closest first."""
        return await anyio.to_thread.run_sync(closest, path, await self._all_paths())

    async def _all_paths(self) -> list[str]:
        entries = await anyio.to_thread.run_sync(self._entries, (), "*")
        return [entry.path for entry in entries.found]

    async def read(self, path: str) -> AsyncGenerator[bytes]:
        """The content of a file, in chunks.

        Raises:
            HostPathRefusedError: the path may not be read, or there is no such file.
        """
        parts = host_parts(path, self.path, why_unreadable)
        with _explained(path):
            try:
                descriptor = await anyio.to_thread.run_sync(self._open_to_read, path, parts)
            except FileNotFoundError:
                refuse(path, f"there is no such file. {await self._near(parts)}")
            with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as file:
                while chunk := await anyio.to_thread.run_sync(file.read, _CHUNK_BYTES):
                    yield chunk

    async def write(
        self,
        path: str,
        content: AsyncIterator[bytes],
        *,
        overwrite: bool = False,
        trusted_names: Collection[str] = (),
    ) -> int:
        """Write a file, which appears whole or not at all. Missing directories are made.

        Args:
            path: where, relative to the work directory.
            content: what.
            overwrite: replace a plain file that is there.
            trusted_names: names that tools trust and that may be written all the same.

        Returns:
            How many bytes it has.

        Raises:
            HostPathRefusedError: the path may not be written, something is there, or more has
                been written than may be.
        """
        parts = host_parts(path, self.path)
        check_untrusted(path, parts, trusted_names)
        self._budget.take_file(path)
        run = anyio.to_thread.run_sync
        with _explained(path):
            parent = await run(make_directories_beneath, self._root, parts[:-1])
            try:
                await run(_check_target, path, parent, parts[-1], overwrite)
                # A dot keeps watchers and patterns away from the unfinished file.
                unfinished = f".{secrets.token_hex(8)}.part"
                try:
                    size = await self._write_all(path, parent, unfinished, content)
                    await run(_put_in_place, path, parent, unfinished, parts[-1], overwrite)
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(unfinished, dir_fd=parent)
            finally:
                os.close(parent)
        return size

    async def _write_all(
        self, path: str, parent: int, name: str, content: AsyncIterator[bytes]
    ) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = await anyio.to_thread.run_sync(open_beneath, parent, (name,), flags, 0o666)
        size = 0
        with contextlib.closing(os.fdopen(descriptor, "wb", buffering=0)) as file:
            async for chunk in content:
                size += len(chunk)
                self._budget.take(path, len(chunk))
                rest = memoryview(chunk)
                while rest:
                    rest = rest[await anyio.to_thread.run_sync(file.write, rest) :]
        return size

    async def _of(
        self,
        path: str,
        directory: tuple[str, ...],
        wanted: str = "",
        why: str = "no file is there that may be copied",
    ) -> FoundFiles:
        """The files below a directory that a path stands for, or all."""
        entries = await anyio.to_thread.run_sync(self._entries, directory, "*")
        files = sorted(named(wanted, (each.path for each in entries.found)))
        if files and (len(files) > MAX_LISTED or not entries.is_whole):
            refuse(path, f"it stands for more than {MAX_LISTED} files, the most that are copied")
        left_out = entries.note_left_out(wanted)
        if not files:
            near = await self._near(directory or tuple(wanted.split("/")))
            refuse(path, f"{why}. {near}{f'. {left_out}' if left_out else ''}")
        return FoundFiles(tuple(files), left_out)

    async def _directory_like(self, path: str, wanted: str) -> tuple[str, ...]:
        """The directory whose name is encoded otherwise; else a refusal with the closest names."""
        known = await anyio.to_thread.run_sync(directories_below, self._root)
        same = [each for each in known if composed(each) == composed(wanted)]
        if len(same) != 1:
            near = close_to(await anyio.to_thread.run_sync(closest, wanted, known))
            hint = near.rstrip(".") or await self._near((wanted,))
            refuse(path, f"there is no such directory. {hint}")
        return tuple(same[0].split("/"))

    def _mode(self, parts: tuple[str, ...]) -> int:
        seen = open_beneath(self._root, parts, LOOK)
        try:
            return os.fstat(seen).st_mode
        finally:
            os.close(seen)

    def _entries(self, parts: tuple[str, ...], pattern: str) -> Entries:
        return entries_below(self._root, parts, pattern)

    async def _near(self, parts: tuple[str, ...]) -> str:
        """What there is instead of something that is not: the closest names first."""
        paths = await self._all_paths()
        near = await anyio.to_thread.run_sync(closest, "/".join(parts), paths)
        if near:
            return close_to(near).rstrip(".")
        if not paths:
            return "The work directory has no files"
        return f"list_work_dir shows the {len(paths):,} files that there are"

    def _open_to_read(self, path: str, parts: tuple[str, ...]) -> int:
        # Looked at before it is opened, since opening a device may already do something, and
        # after, since it may have been exchanged.
        seen = open_beneath(self._root, parts, LOOK)
        try:
            _check_plain(path, os.fstat(seen))
        finally:
            os.close(seen)
        flags = os.O_RDONLY | O_NONBLOCK | getattr(os, "O_NOCTTY", 0)
        descriptor = open_beneath(self._root, parts, flags)
        try:
            _check_plain(path, os.fstat(descriptor))
        except HostPathRefusedError:
            os.close(descriptor)
            raise
        return descriptor


def _put_in_place(path: str, parent: int, unfinished: str, name: str, overwrite: bool) -> None:
    _check_target(path, parent, name, overwrite)
    if not overwrite:
        # A name can only be taken by whoever makes it, so nothing that has just come is replaced.
        os.close(open_beneath(parent, (name,), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)


def _check_target(path: str, parent: int, name: str, overwrite: bool) -> None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    _check_plain(path, found)
    if not overwrite:
        refuse(path, _EXISTS)


def _check_plain(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        refuse(path, "it is a directory")
    if stat.S_ISLNK(found.st_mode):
        refuse(path, "it is a link")
    if not stat.S_ISREG(found.st_mode):
        refuse(path, "it is not a regular file")
    if found.st_nlink > 1:
        refuse(path, "it has several names (hard links), so it may belong elsewhere")


@contextlib.contextmanager
def _explained(path: str) -> Generator[None]:
    """Turn what the operating system says into the sentence to show."""
    try:
        yield
    except FileNotFoundError:
        refuse(path, "there is no such file")
    except OSError as error:
        if error.errno == errno.EEXIST:
            refuse(path, _EXISTS)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            refuse(path, "a link or a file is on its way, and links are not followed")
        refuse(path, f"the system says: {os.strerror(error.errno or errno.EIO).lower()}")


def _open_directory(directory: Path) -> int:
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, "Windows cannot hold a directory open")
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
