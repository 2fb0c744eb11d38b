"""Files below a directory, reached through WASI: nothing leads out of it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from aca_mcp.wasm.wasi_files import BUFFER_BYTES, WasiFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    """Two directories, beside a file that is in neither."""
    (tmp_path / "secret").write_text("secret")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    return first, second


@pytest.fixture
def files(directories: tuple[Path, Path]) -> Iterator[WasiFiles]:
    opened = WasiFiles(*directories)
    yield opened
    opened.close()


def read_all(files: WasiFiles, path: str) -> bytes:
    descriptor = files.open(0, path)
    pieces = iter(lambda: files.read(descriptor, BUFFER_BYTES), b"")
    content = b"".join(pieces)
    files.close_file(descriptor)
    return content


@pytest.mark.parametrize("size", [0, 1, BUFFER_BYTES, BUFFER_BYTES + 1, 3 * BUFFER_BYTES])
def test_what_is_written_is_read(files: WasiFiles, size: int) -> None:
    content = os.urandom(size)
    descriptor = files.open(0, "grüße 数据.bin", create=True)
    files.write(descriptor, content)
    assert files.file_status(descriptor).size == size
    files.close_file(descriptor)
    assert read_all(files, "grüße 数据.bin") == content
    assert files.status(0, "grüße 数据.bin").kind == "file"


def test_a_file_is_moved_between_directories_and_replaces_what_is_there(
    files: WasiFiles, directories: tuple[Path, Path]
) -> None:
    (directories[0] / "old").write_text("old")
    (directories[1] / "new").write_text("new")
    files.rename((1, "new"), (0, "old"))
    assert (directories[0] / "old").read_text() == "new"
    (directories[1] / "other").write_text("other")
    with pytest.raises(FileExistsError):
        files.link((1, "other"), (0, "old"))
    files.link((1, "other"), (0, "second"))
    assert (directories[0] / "second").read_text() == "other"


def test_every_name_of_a_large_directory_is_listed(
    files: WasiFiles, directories: tuple[Path, Path]
) -> None:
    names = {f"{number:05}-{'x' * 200}" for number in range(6000)}
    for name in names:
        (directories[0] / name).touch()
    assert set(files.names(0, "")) == names


@pytest.mark.parametrize(
    "path", ["../secret", "up/secret", "absolute", "file-link", "a/../../secret", "/secret"]
)
def test_no_name_leads_out(
    files: WasiFiles, directories: tuple[Path, Path], path: str, tmp_path: Path
) -> None:
    inside = directories[0]
    (inside / "up").symlink_to("..")
    (inside / "absolute").symlink_to(tmp_path / "secret")
    (inside / "file-link").symlink_to("../secret")
    (inside / "a").mkdir()
    with pytest.raises(OSError, match=r".") as refused:
        files.open(0, path)
    assert refused.value.errno in (errno.EPERM, errno.ELOOP, errno.ENOENT)
    with pytest.raises(OSError, match=r"."):
        files.open(0, path, create=True)
    assert (tmp_path / "secret").read_text() == "secret"


def test_refusals_have_the_numbers_that_python_knows(
    files: WasiFiles, directories: tuple[Path, Path]
) -> None:
    (directories[0] / "file").touch()
    files.make_directory(0, "directory")
    (directories[0] / "directory" / "file").touch()
    with pytest.raises(FileNotFoundError):
        files.open(0, "nothing")
    with pytest.raises(NotADirectoryError):
        files.open(0, "file/below")
    with pytest.raises(FileExistsError):
        files.make_directory(0, "directory")
    with pytest.raises(OSError, match="not empty"):
        files.remove_directory(0, "directory")
    with pytest.raises(OSError, match="too long"):
        files.open(0, "x" * 9000)
    files.remove(0, "directory/file")
    files.remove_directory(0, "directory")
    assert list(files.names(0, "")) == ["file"]
