"""Files of a service that answers as it is known to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.errors import (
    AuthenticationFailedError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    PoolUnavailableError,
)
from tests.azure.service import ENDPOINT, IDENTIFIER, Service, answer, enter, fault
from tests.support.streams import content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.pool import SessionPool

LOST = httpx.ReadError("lost")


async def test_older_versions_list_directories_one_by_one() -> None:
    def entry(name: str, kind: str) -> dict[str, object]:
        return {"name": name, "type": kind, "lastModifiedAt": "2025-01-01T00:00:00Z"}

    service = Service(
        answer(200, {"value": [entry("a", "directory"), entry("z.txt", "File")]}),
        answer(
            200, {"value": [entry("b.txt", "file"), entry("../up", "File"), entry("a/b", "File")]}
        ),
    )
    async with service.pool(api_version="2024-10-02-preview") as pool:
        listing = await pool.list_files(IDENTIFIER, recursive=True)
    assert [each.path for each in listing.entries] == ["a", "a/b.txt", "z.txt"]
    assert service.requests[1].url.params["path"] == "a"


async def test_pages_are_followed_and_never_elsewhere() -> None:
    page = {"value": [{"name": "a", "type": "File"}], "nextLink": f"{ENDPOINT}/files?page=2"}
    service = Service(answer(200, page), answer(200, {"value": [{"name": "b", "type": "other"}]}))
    async with service.pool() as pool:
        listing = await pool.list_files(IDENTIFIER)
    assert [(each.path, each.kind) for each in listing.entries] == [("a", "file"), ("b", "other")]
    service = Service(answer(200, {**page, "nextLink": "https://evil.example/files"}))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="token"):
            await pool.list_files(IDENTIFIER)


async def test_a_listing_is_bounded() -> None:
    many = [{"name": f"{number:05}", "type": "File"} for number in range(1500)]
    service = Service(answer(200, {"value": many}))
    async with service.pool() as pool:
        listing = await pool.list_files(IDENTIFIER)
    assert listing.truncated
    assert len(listing.entries) == 1000


async def test_files_of_a_lost_session_are_said_to_be_gone_with_it() -> None:
    service = Service()
    async with service.pool() as pool:
        await enter(service, pool)
        service.answers += [
            answer(200, {"value": []}, x_ms_new_allocation="true"),
            fault(404, "FileNotFound"),
        ]
        await pool.list_files(IDENTIFIER)
        with pytest.raises(FileMissingError, match="upload them again"):
            await pool.delete_file(IDENTIFIER, "a.txt")


async def test_reading_is_tried_again_and_deleting_is_not() -> None:
    service = Service(LOST, answer(500), answer(200, {"value": []}), LOST, answer(504))
    async with service.pool() as pool:
        assert (await pool.list_files(IDENTIFIER)).entries == ()
        for _ in range(2):
            with pytest.raises(PoolUnavailableError, match="List the files"):
                await pool.delete_file(IDENTIFIER, "a.txt")


async def test_reading_that_never_works_ends() -> None:
    service = Service(*[LOST] * 400)
    async with service.pool(retry_seconds=0.05) as pool:
        with pytest.raises(PoolUnavailableError, match="was not received"):
            await pool.list_files(IDENTIFIER)
        service.answers.clear()


async def test_an_answer_about_files_that_cannot_be_read_is_said() -> None:
    service = Service(answer(200, b"<html>"), answer(200, b"[]"))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="not one of its API"):
            await pool.list_files(IDENTIFIER)
        with pytest.raises(PoolUnavailableError, match="not one of its API"):
            await pool.get_session(IDENTIFIER)


async def test_an_upload_is_what_the_service_documents() -> None:
    told = {
        "name": "a.txt",
        "type": "File",
        "sizeInBytes": 3,
        "lastModifiedAt": "2025-01-01T00:00:00Z",
    }
    service = Service(answer(401), answer(200, told))
    async with service.pool() as pool:
        entry = await pool.upload_file(IDENTIFIER, "d/é.txt", content(b"a", b"bc"))
    assert entry.path == "d/a.txt"  # as the service says
    request = service.requests[1]
    assert request.url.params["path"] == "d"
    head, _, rest = request.content.partition(b"\r\n\r\n")
    assert 'name="file"; filename="é.txt"'.encode() in head
    assert rest.startswith(b"abc\r\n--")
    assert int(request.headers["content-length"]) == len(request.content)


async def test_an_upload_too_long_to_be_held_is_sent_once() -> None:
    chunks = [bytes(700_000)] * 3
    service = Service(answer(401))
    async with service.pool() as pool:
        with pytest.raises(AuthenticationFailedError):
            await pool.upload_file(IDENTIFIER, "a", content(*chunks))
    assert service.requests[0].headers["transfer-encoding"] == "chunked"
    service = Service(LOST)
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="Upload it again"):
            await pool.upload_file(IDENTIFIER, "a", content(b"a"))


async def test_a_download_whose_size_is_not_told_asks_for_it() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"abc"

    told = {"name": "a", "type": "file", "sizeInBytes": 3, "lastModifiedAt": "2025-01-01T00:00:00Z"}
    service = Service(
        httpx.Response(200, content=stream()),
        answer(200, told),
        httpx.Response(200, content=stream()),
        answer(200, {**told, "type": "Directory"}),
    )
    async with service.pool() as pool:
        async with pool.download_file(IDENTIFIER, "a") as download:
            assert download.entry.size_bytes == 3
            assert [chunk async for chunk in download.chunks] == [b"abc"]
        with pytest.raises(InvalidPathError):
            async with pool.download_file(IDENTIFIER, "a"):
                pass


async def test_a_file_larger_than_it_may_be_is_not_read_to_its_end() -> None:
    async def long() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    service = Service(
        httpx.Response(200, content=b"abcdef"),
        httpx.Response(200, content=long(), headers={"content-length": "2"}),
    )
    async with service.pool(max_file_bytes=5) as pool:
        for _ in range(2):
            with pytest.raises(FileTooLargeError, match="compress"):
                await read(pool)


async def read(pool: SessionPool) -> bytes:
    async with pool.download_file(IDENTIFIER, "a") as download:
        return b"".join([chunk async for chunk in download.chunks])


async def test_a_download_that_breaks_is_said() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise httpx.ReadError("broken")

    service = Service(httpx.Response(200, content=broken(), headers={"content-length": "10"}))
    async with service.pool() as pool:
        with pytest.raises(PoolUnavailableError, match="to its end"):
            await read(pool)
