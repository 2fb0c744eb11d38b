"""Files of this machine: written whole, and copied to and from a session, with a bar if need be."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import HostPathRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from aca_mcp.session import PythonSession

_CHUNK_BYTES = 1 << 20
_LONG_BYTES = 16 * _CHUNK_BYTES
"""A file smaller than this is there before a bar could be read."""


@contextlib.contextmanager
def host_file(path: Path) -> Generator[None]:
    """Turn what the system says about a file of this machine into a sentence.

    Raises:
        HostPathRefusedError: the file cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise HostPathRefusedError(f"{path} cannot be used: {reason}.") from error


def write_out(text: str) -> None:
    """Write to stdout.

    Raises:
        HostPathRefusedError: its reader has left, or its disk is full.
    """
    with host_file(Path("stdout")):
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def written_whole(path: Path, mode: int | None = None) -> Generator[Path]:
    """An empty file to write in the place of another, which it replaces in the end or not at all.

    Nothing behind a link of that name is touched.

    Args:
        path: the other.
        mode: who may read and write it, from the beginning; as for any new file if None.

    Raises:
        OSError: it cannot be written; then nothing of it is left.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.touch(0o666 if mode is None else mode, exist_ok=False)
        yield partial
        with partial.open("r+b") as written:
            os.fsync(written.fileno())
        if mode is not None:
            partial.chmod(mode)  # also what the umask took from it
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


async def upload(session: PythonSession, path: Path) -> None:
    """Copy a file of this machine to the work directory, under its own name.

    Raises:
        HostPathRefusedError: the file cannot be read.
    """
    with host_file(path):
        size = (await anyio.Path(path).stat()).st_size
        with _progress(f"Uploading {path.name}", size) as advance:
            async with contextlib.aclosing(_chunks(path, advance)) as chunks:
                await session.upload(path.name, chunks)


async def download(session: PythonSession, path: str) -> Path:
    """Copy a file of the session to the current directory; what has its name there is replaced.

    Returns:
        Where it is now. It appears whole or not at all.

    Raises:
        HostPathRefusedError: it cannot be written.
    """
    target = Path(PurePosixPath(path).name)
    async with session.open_file(path) as file:
        with (
            host_file(target),
            written_whole(target) as partial,
            _progress(f"Downloading {target}", file.entry.size_bytes) as advance,
        ):
            async with await anyio.open_file(partial, "wb") as written:
                async for chunk in file.chunks:
                    await written.write(chunk)
                    advance(len(chunk))
    return target


async def _chunks(path: Path, advance: Callable[[int], None]) -> AsyncGenerator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(_CHUNK_BYTES):
            yield chunk
            advance(len(chunk))


@contextlib.contextmanager
def _progress(label: str, total_bytes: int) -> Generator[Callable[[int], None]]:
    """A bar on the terminal, if there is one, the file is long and rich is installed."""
    if total_bytes < _LONG_BYTES or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
    except ModuleNotFoundError:
        yield lambda _: None
        return
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        # File names are not markup.
        task = bars.add_task(label.replace("[", r"\["), total=total_bytes)
        yield lambda amount: bars.advance(task, amount)
