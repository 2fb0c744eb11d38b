"""What tests of a session's files do with them, in a word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.local.files import LocalFiles
    from aca_mcp.pool import FileEntry

MAX_FILE_BYTES = 1000


def upload(files: LocalFiles, path: str, *pieces: bytes, overwrite: bool = True) -> FileEntry:
    started = files.begin_upload(path, overwrite=overwrite)
    try:
        for piece in pieces:
            started.write(piece)
        return started.finish()
    finally:
        started.close()


def download(files: LocalFiles, path: str) -> bytes:
    file = files.open_download(path)
    try:
        found = file.read(10 * MAX_FILE_BYTES)
    finally:
        file.close()
    assert file.entry.size_bytes == len(found)
    return found


def names(files: LocalFiles, directory: str = "", *, recursive: bool = False) -> list[str]:
    return [entry.path for entry in files.list(directory, recursive=recursive).entries]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def incoming(data: Path) -> list[str]:
    return names_in(data.parent / "incoming")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
