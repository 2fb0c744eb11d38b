"""Files: what every pool does, however it is reached."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
)
from tests.support.streams import content, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.pool import FileEntry, SessionPool

MEBIBYTE = 2**20
NAMES = (
    "a.txt",
    "with space.csv",
    "ünïcode-日本語.txt",
    "100%25.txt",
    "a&b=c;d,e#f^(1)$@.txt",
    "content",
)


async def put(pool: SessionPool, identifier: str, path: str, whole: bytes) -> FileEntry:
    return await pool.upload_file(identifier, path, content(whole))


async def get(pool: SessionPool, identifier: str, path: str) -> bytes:
    async with pool.download_file(identifier, path) as download:
        content = b"".join([chunk async for chunk in download.chunks])
        assert download.entry.size_bytes == len(content)
        return content


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_uploaded_is_listed_read_and_deleted(
    pool: SessionPool, identifier: str, name: str
) -> None:
    entry = await put(pool, identifier, name, b"one\r\n--two\x00")
    assert (entry.path, entry.kind, entry.size_bytes) == (name, "file", 11)
    assert entry.modified_at.tzinfo is not None
    listed = (await pool.list_files(identifier)).entries
    assert [(each.path, each.size_bytes) for each in listed] == [(name, 11)]
    assert await get(pool, identifier, name) == b"one\r\n--two\x00"
    await pool.delete_file(identifier, name)
    assert (await pool.list_files(identifier)).entries == ()


async def test_code_and_files_share_the_work_directory(pool: SessionPool, identifier: str) -> None:
    await put(pool, identifier, "in.csv", b"a,b\n1,2\n")
    code = "import pandas as pd; t = pd.read_csv('in.csv'); t.to_json('/mnt/data/out.json')"
    execution = await pool.execute(identifier, code, timeout_seconds=30)
    assert execution.error is None
    assert execution.lost_before is None
    assert await get(pool, identifier, "out.json") == b'{"a":{"0":1},"b":{"0":2}}'
    assert await get(pool, identifier, "/mnt/data/out.json") == b'{"a":{"0":1},"b":{"0":2}}'


async def test_directories_are_made_and_listed(pool: SessionPool, identifier: str) -> None:
    await put(pool, identifier, "a/b/c.txt", b"c")
    await put(pool, identifier, "d.txt", b"d")
    top = await pool.list_files(identifier)
    assert [(each.path, each.kind) for each in top.entries] == [
        ("a", "directory"),
        ("d.txt", "file"),
    ]
    below = await pool.list_files(identifier, "a")
    assert [each.path for each in below.entries] == ["a/b"]
    everything = await pool.list_files(identifier, recursive=True)
    assert [each.path for each in everything.entries] == ["a", "a/b", "a/b/c.txt", "d.txt"]
    inner = await pool.list_files(identifier, "a/b", recursive=True)
    assert [each.path for each in inner.entries] == ["a/b/c.txt"]
    assert await get(pool, identifier, "a/b/c.txt") == b"c"
    with pytest.raises(FileMissingError):
        await pool.list_files(identifier, "nowhere")


@pytest.mark.parametrize("size", [0, 1, MEBIBYTE, MEBIBYTE + 1, 10 * MEBIBYTE])
async def test_every_size_arrives_whole(pool: SessionPool, identifier: str, size: int) -> None:
    whole = (b"0123456789abcdef" * (size // 16 + 1))[:size]

    entry = await pool.upload_file(identifier, "big.bin", pieces(whole, 700_000))
    assert entry.size_bytes == size
    digest = hashlib.sha256()
    async with pool.download_file(identifier, "big.bin") as download:
        async for chunk in download.chunks:
            assert len(chunk) <= MEBIBYTE
            digest.update(chunk)
    assert digest.digest() == hashlib.sha256(whole).digest()


async def test_a_file_is_replaced_only_if_that_is_wanted(
    pool: SessionPool, identifier: str
) -> None:
    await put(pool, identifier, "a.txt", b"first")
    with pytest.raises(FileExistsInSessionError):
        await pool.upload_file(identifier, "a.txt", content(b"second"), overwrite=False)
    assert await get(pool, identifier, "a.txt") == b"first"
    await put(pool, identifier, "a.txt", b"third")
    assert await get(pool, identifier, "a.txt") == b"third"
    await pool.upload_file(identifier, "b.txt", content(b"new"), overwrite=False)
    assert await get(pool, identifier, "b.txt") == b"new"


async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    pool: SessionPool, identifier: str
) -> None:
    most = (await pool.metadata()).max_file_bytes

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(4 * MEBIBYTE)

    await put(pool, identifier, "a.bin", b"before")
    with pytest.raises(FileTooLargeError, match=f"{most:,}"):
        await pool.upload_file(identifier, "a.bin", endless())
    assert await get(pool, identifier, "a.bin") == b"before"
    assert [entry.path for entry in (await pool.list_files(identifier)).entries] == ["a.bin"]


async def test_a_stream_that_fails_leaves_nothing(pool: SessionPool, identifier: str) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(2 * MEBIBYTE)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await pool.upload_file(identifier, "a.bin", failing())
    assert (await pool.list_files(identifier)).entries == ()


@pytest.mark.parametrize(
    "path", ["../up.txt", "/etc/passwd", "a/../../b", "a\x00b", "", "/mnt/data"]
)
async def test_a_path_out_of_the_work_directory_is_refused(
    pool: SessionPool, identifier: str, path: str
) -> None:
    with pytest.raises(InvalidPathError):
        await put(pool, identifier, path, b"x")
    with pytest.raises(InvalidPathError):
        await get(pool, identifier, path)
    with pytest.raises(InvalidPathError):
        await pool.delete_file(identifier, path)


async def test_what_is_not_there_is_said_to_be_missing(pool: SessionPool, identifier: str) -> None:
    with pytest.raises(FileMissingError):
        await get(pool, identifier, "nothing.txt")
    with pytest.raises(FileMissingError):
        await pool.delete_file(identifier, "nothing.txt")


async def test_links_that_code_made_lead_nowhere(pool: SessionPool, identifier: str) -> None:
    code = "import os; os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'etc')"
    await pool.execute(identifier, code, timeout_seconds=30)
    for path in ("link", "etc/passwd"):
        with pytest.raises((InvalidPathError, FileMissingError)):
            await get(pool, identifier, path)


async def test_a_directory_is_not_a_file(pool: SessionPool, identifier: str) -> None:
    await put(pool, identifier, "a/b.txt", b"b")
    with pytest.raises(InvalidPathError):
        await get(pool, identifier, "a")


async def test_files_that_code_writes_are_told_with_its_result(
    pool: SessionPool, identifier: str
) -> None:
    await put(pool, identifier, "given.csv", b"x")
    code = "import os; os.makedirs('made'); open('made/by code.txt', 'w').write('y')"
    first = await pool.execute(identifier, code, timeout_seconds=60)
    assert first.files == ("made/by code.txt",)
    second = await pool.execute(identifier, "open('given.csv').read()", timeout_seconds=60)
    assert second.files == ()
