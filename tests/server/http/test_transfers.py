"""Files by links: what is sent and taken, and what a hostile or careless client meets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from starlette.applications import Starlette

from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import FileDownload
from aca_mcp.server.http.rate_limits import Limits
from aca_mcp.server.http.transfers import TransfersMiddleware
from aca_mcp.server.requests_in_flight import InFlight
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.server.transfers.links import Link, Links
from tests.local.pools import MEBIBYTE, QUICK
from tests.server.http.serving import Served, curl, served, serving
from tests.support.toy_pool import MAX_FILE_BYTES, ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from anyio.abc import SocketStream

    from aca_mcp.server.transfers.links import Direction

CONTENT = bytes(range(256)) * 10
PASSING = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.fixture
async def here(toy_pool: ToyPool) -> AsyncIterator[Served]:
    async with serving(toy_pool) as running:
        yield running


async def test_a_download_is_nothing_but_a_file_to_keep(here: Served) -> None:
    name = "héllo <b>.html"
    await here.call("upload_file", path=f"d/{name}", content="<script>alert(1)</script>")
    link = await here.link(f"d/{name}", "download")
    answer = await here.http.get(link)
    assert answer.status_code == 200
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"h_llo _b_.html\"; filename*=UTF-8''h%C3%A9llo%20_b_.html"
    )
    assert answer.headers["accept-ranges"] == "bytes"
    for key, value in PASSING.items():
        assert answer.headers[key] == value
    head = await here.http.head(link, headers={"range": "bytes=0-3"})
    assert head.status_code == 200
    assert head.content == b""
    same = ("content-length", "content-disposition", "etag", "content-type")
    assert [head.headers[key] for key in same] == [answer.headers[key] for key in same]


async def test_parts_of_a_download(here: Served) -> None:
    await here.http.put(await here.link("x", "upload"), content=CONTENT)
    link = await here.link("x", "download")
    part = await here.http.get(link, headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    assert part.headers["content-range"] == "bytes 1000-1999/2560"
    for key, value in PASSING.items():
        assert part.headers[key] == value

    same = {"range": "bytes=-5", "if-range": part.headers["etag"]}
    assert (await here.http.get(link, headers=same)).content == CONTENT[-5:]
    other = {"range": "bytes=-5", "if-range": '"another"'}
    assert (await here.http.get(link, headers=other)).content == CONTENT

    beyond = await here.http.get(link, headers={"range": "bytes=2560-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == "bytes */2560"


async def test_a_download_that_broke_off_is_resumed_by_curl(here: Served, tmp_path: Path) -> None:
    await here.http.put(await here.link("x", "upload"), content=CONTENT)
    line = await here.line("x", "download")
    (tmp_path / "x").write_bytes(CONTENT[:700])
    assert (await curl(f"{line} --continue-at -", tmp_path))[0] == 0
    assert (tmp_path / "x").read_bytes() == CONTENT


async def test_a_link_is_for_its_direction_alone(here: Served) -> None:
    upload = await here.link("x", "upload")
    assert (await here.http.put(upload, content=b"1")).status_code == 200
    assert (await here.http.put(upload, content=b"2")).status_code == 200
    download = await here.link("x", "download")
    for method, link, allowed in (
        ("GET", upload, "PUT"),
        ("HEAD", upload, "PUT"),
        ("DELETE", upload, "PUT"),
        ("PUT", download, "GET, HEAD"),
        ("POST", download, "GET, HEAD"),
    ):
        refused = await here.http.request(method, link)
        assert refused.status_code == 405
        assert refused.headers["allow"] == allowed
    assert (await here.http.get(download)).content == b"2"


async def test_a_file_that_went_is_missing(here: Served) -> None:
    await here.call("upload_file", path="x", content="1")
    link = await here.link("x", "download")
    await here.call("delete_file", path="x")
    assert (await here.http.get(link)).status_code == 404


async def test_what_is_too_large_is_refused_before_it_is_sent(here: Served, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    line = await here.line("x", "upload")
    sentence = (
        "The file has 8,388,609 bytes, and a session takes at most 8,388,608. "
        "Nothing was written.\n"
    )
    assert await curl(line, tmp_path) == (22, sentence)
    refused = await here.http.put(
        await here.link("x", "upload"), content=(tmp_path / "x").read_bytes()
    )
    assert (refused.status_code, refused.text) == (413, sentence)
    assert await here.call("list_files") == "[no files]"


async def test_part_of_a_file_is_not_taken_for_the_whole(here: Served) -> None:
    link = await here.link("x", "upload")
    headers = {"content-range": "bytes 1-1/2"}
    assert (await here.http.put(link, content=b"x", headers=headers)).status_code == 400
    assert await here.call("list_files") == "[no files]"


async def test_an_upload_that_breaks_off_leaves_nothing() -> None:
    async with open_local_pool(QUICK) as pool, serving(pool) as running:
        link = await running.link("x", "upload")
        await running.http.put(link, content=b"before")
        for header, body in (
            (f"Content-Length: {MEBIBYTE}", b"x" * 100_000),
            ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        ):
            async with begun("PUT", link, header) as stream:
                await stream.send(body)
            assert (await running.call("list_files")).startswith("x\t6 bytes")
        assert await running.call("download_file", path="x") == "before"


async def test_whoever_stops_sending_is_not_waited_for(toy_pool: ToyPool) -> None:
    async with moving(toy_pool, "upload") as (link, in_flight):
        async with begun("PUT", link, "Content-Length: 10") as stream:
            await stream.send(b"abc")
            assert (await everything(stream)).startswith(b"HTTP/1.1 408 ")
        assert await in_flight.finished(within_seconds=5)
    assert not toy_pool.sessions


async def test_whoever_stops_reading_is_not_waited_for() -> None:
    async with moving(Large(), "download") as (link, in_flight), begun("GET", link) as stream:
        assert await stream.receive(1)
        assert await in_flight.finished(within_seconds=5)
        assert len(await everything(stream)) < Large.size


async def test_a_download_ends_with_its_reader() -> None:
    async with moving(Large(), "download", stall_seconds=60) as (link, in_flight):
        async with begun("GET", link) as stream:
            assert await stream.receive(1)
        assert await in_flight.finished(within_seconds=5)


async def test_a_file_that_shrinks_while_it_is_read_is_not_taken_for_whole() -> None:
    class Shrinking(Large):
        chunks = 2

    async with moving(Shrinking(), "download") as (link, _), httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            await client.get(link)


class Large(ToyPool):
    """Has one file, which is large."""

    size = 256 * MEBIBYTE
    chunks = 256

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        await self.upload_file(identifier, path, _repeated(b"", 0))
        async with super().download_file(identifier, path) as file:
            entry = file.entry._replace(size_bytes=self.size)
            yield FileDownload(entry, _repeated(bytes(MEBIBYTE), self.chunks))


async def _repeated(chunk: bytes, times: int) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield chunk


@asynccontextmanager
async def moving(
    pool: ToyPool, direction: Direction, *, stall_seconds: float = 0.2
) -> AsyncGenerator[tuple[str, InFlight]]:
    """Serve one link to a file of a pool, impatiently; gives it, and what is under way."""
    links, in_flight = Links(b"k" * 32, lifetime_seconds=60), InFlight()
    async with open_sessions(pool) as sessions:
        name = sessions.link_name(sessions.open_own("ann"))
        app = TransfersMiddleware(
            Starlette(), sessions, links, Limits(1, 60, 1), in_flight, stall_seconds=stall_seconds
        )
        async with served(app) as address:
            yield f"{address}/files/{links.make(Link('ann', name, 'x', direction))}", in_flight


@asynccontextmanager
async def begun(method: str, link: str, header: str = "A: b") -> AsyncGenerator[SocketStream]:
    """A request whose headers were sent, and nothing else."""
    url = httpx.URL(link)
    assert url.port is not None
    async with await anyio.connect_tcp(url.host, url.port) as stream:
        request = f"{method} {url.path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n{header}\r\n\r\n"
        await stream.send(request.encode())
        yield stream


async def everything(stream: SocketStream) -> bytes:
    """What comes until the server closes the connection."""
    received = bytearray()
    with anyio.fail_after(10):
        async for chunk in stream:
            received += chunk
    return bytes(received)


@pytest.mark.parametrize(("mebibytes", "status"), [(20, 507), (33, 413)])
async def test_a_stream_that_grows_too_large_leaves_nothing(mebibytes: int, status: int) -> None:
    """The size is not said ahead, and the client is still sending when it is refused."""
    room = {507: 16, 413: 64}[status] * MEBIBYTE

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(mebibytes * 16):
            yield bytes(MEBIBYTE // 16)

    async with open_local_pool(replace(QUICK, disk_bytes=room)) as pool, serving(pool) as running:
        link = await running.link("x", "upload")
        refused = await running.http.put(link, content=endless())
        assert refused.status_code == status
        assert await running.call("list_files") == "[no files]"


async def test_paths_that_lead_out_are_refused() -> None:
    async with open_local_pool(QUICK) as pool, serving(pool) as running:
        for path in ("../x", "/etc/passwd", "a/../../x"):
            link = await running.link(path, "upload")
            assert (await running.http.put(link, content=b"1")).status_code == 400
            assert await running.call.refusal(
                "create_transfer_link", path=path, direction="download"
            )
        await running.call("execute_python", code="import os; os.symlink('/etc/passwd', 'x')")
        assert "passwd" not in await running.call.refusal(
            "create_transfer_link", path="x", direction="download"
        )
