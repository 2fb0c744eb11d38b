"""The one host directory whose files a model may copy, confined whatever path the model gives.

The model chooses the paths, and code in the session chooses what they will hold, so both are
hostile. Nothing outside the directory is reached, no link is followed, nothing but plain files
is read or replaced, and no name is touched that tools on the host execute or trust: a name that
begins with a dot, such as ``.git`` or ``.mcp.json``, in any part of the path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING, NoReturn

import anyio.to_thread

from aca_mcp.beneath import LOOK, make_directories_beneath, open_beneath
from aca_mcp.errors import HostPathRefusedError
from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator
    from pathlib import Path

_CHUNK_BYTES = 1 << 20
_MAX_NAMES = 30
_EXISTS = "it is there already. Pass overwrite=true to replace it"
_SHORT_NAME = re.compile(r"~\d")
"""How Windows abbreviates names: ``GIT~1`` is ``.git`` on its file systems."""


def host_parts(path: str) -> tuple[str, ...]:
    """The names that a path consists of, if it may be one of the work directory.

    Raises:
        HostPathRefusedError: it may not.
    """
    if path.startswith("/"):
        _refuse(path, "paths are relative to the work directory")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if not parts:
        _refuse(path, "it names no file")
    for part in parts:
        if part == "..":
            _refuse(path, "it may not leave the work directory")
        if part.startswith(".") or _SHORT_NAME.search(part):
            _refuse(path, "names that begin with a dot may hold what tools on the host trust")
        if not part.isprintable() or part != part.strip() or set(part) & set('\\:*?"<>|'):
            _refuse(path, "it has characters that not every system allows in names")
        if part.endswith(".") or len(os.fsencode(part)) > 200:
            _refuse(path, "it has a name that not every system allows")
    return parts


class WorkDir:
    """An open directory of the host. Blocking calls are made in worker threads."""

    def __init__(self, directory: Path) -> None:
        """Open the directory; it stays this one, even if it is moved.

        Raises:
            OSError: it cannot be opened.
        """
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the directory."""
        os.close(self._root)

    async def read(self, path: str) -> AsyncGenerator[bytes]:
        """The content of a file, in chunks.

        Raises:
            HostPathRefusedError: the path may not be read, or there is no such file.
        """
        parts = host_parts(path)
        with _explained(path):
            try:
                descriptor = await anyio.to_thread.run_sync(self._open_to_read, path, parts)
            except FileNotFoundError:
                _refuse(path, f"there is no such file. {await self._names()}")
            with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as file:
                while chunk := await anyio.to_thread.run_sync(file.read, _CHUNK_BYTES):
                    yield chunk

    async def write(
        self, path: str, content: AsyncIterator[bytes], *, overwrite: bool = False
    ) -> int:
        """Write a file, which appears whole or not at all. Missing directories are made.

        Args:
            path: where, relative to the work directory.
            content: what.
            overwrite: replace a plain file that is there.

        Returns:
            How many bytes it has.

        Raises:
            HostPathRefusedError: the path may not be written, or something is there.
        """
        parts = host_parts(path)
        run = anyio.to_thread.run_sync
        with _explained(path):
            parent = await run(make_directories_beneath, self._root, parts[:-1])
            try:
                await run(_check_target, path, parent, parts[-1], overwrite)
                # A dot keeps watchers and patterns away from the unfinished file.
                unfinished = f".{secrets.token_hex(8)}.part"
                try:
                    size = await _write_all(parent, unfinished, content)
                    await run(_put_in_place, path, parent, unfinished, parts[-1], overwrite)
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(unfinished, dir_fd=parent)
            finally:
                os.close(parent)
        return size

    def _open_to_read(self, path: str, parts: tuple[str, ...]) -> int:
        # Looked at before it is opened, since opening a device may already do something, and
        # after, since it may have been exchanged.
        seen = open_beneath(self._root, parts, LOOK)
        try:
            _check_plain(path, os.fstat(seen))
        finally:
            os.close(seen)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = open_beneath(self._root, parts, flags)
        try:
            _check_plain(path, os.fstat(descriptor))
        except HostPathRefusedError:
            os.close(descriptor)
            raise
        return descriptor

    async def _names(self) -> str:
        names = sorted(await anyio.to_thread.run_sync(os.listdir, self._root))
        shown = [show_name(name) for name in names if not name.startswith(".")]
        more = f" and {len(shown) - _MAX_NAMES} more" if len(shown) > _MAX_NAMES else ""
        if not shown:
            return "The work directory is empty"
        return f"The work directory has {', '.join(shown[:_MAX_NAMES])}{more}"


async def _write_all(parent: int, name: str, content: AsyncIterator[bytes]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = await anyio.to_thread.run_sync(open_beneath, parent, (name,), flags, 0o666)
    size = 0
    with contextlib.closing(os.fdopen(descriptor, "wb", buffering=0)) as file:
        async for chunk in content:
            size += len(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[await anyio.to_thread.run_sync(file.write, rest) :]
    return size


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
        _refuse(path, _EXISTS)


def _check_plain(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        _refuse(path, "it is a directory. Name the files in it")
    if stat.S_ISLNK(found.st_mode):
        _refuse(path, "it is a link")
    if not stat.S_ISREG(found.st_mode):
        _refuse(path, "it is not a regular file")
    if found.st_nlink > 1:
        _refuse(path, "it has several names (hard links), so it may belong elsewhere")


@contextlib.contextmanager
def _explained(path: str) -> Generator[None]:
    """Turn what the operating system says into the sentence to show."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EEXIST:
            _refuse(path, _EXISTS)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            _refuse(path, "a link or a file is on its way")
        _refuse(path, f"the system says: {os.strerror(error.errno or errno.EIO).lower()}")


def _refuse(path: str, reason: str) -> NoReturn:
    raise HostPathRefusedError(f"{show_name(path)}: {reason}.")
