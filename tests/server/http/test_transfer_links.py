"""The tool that makes transfer links, and who can use them, where and for how long."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.callers import Callers
from aca_mcp.server.http.app import HttpOptions, open_http_app
from aca_mcp.server.sessions.client_sessions import open_sessions
from aca_mcp.server.tools.transfer_link import LinkOffer
from aca_mcp.server.transfers.links import Links
from tests.server.http.serving import Served, curl, served, server_process, serving
from tests.support.calling import Caller
from tests.support.connecting import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.toy_pool import ToyPool

SECRET = b"s" * 32
CONTENT = bytes(range(256)) * 10


@pytest.fixture
async def here(toy_pool: ToyPool) -> AsyncIterator[Served]:
    async with serving(toy_pool) as running:
        yield running


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_the_printed_lines_move_a_file_there_and_back(
    toy_pool: ToyPool, tmp_path: Path, mode: Literal["legacy", "2026-07-28"]
) -> None:
    async with serving(toy_pool, mode=mode) as running:
        call = running.call
        text = await call("create_transfer_link", path="/mnt/data/in/a b's.csv", direction="upload")
        handle = match[1] if (match := re.search('session="(ses_[^"]+)"', text)) else ""
        assert bool(handle) == (mode == "2026-07-28")
        (tmp_path / "a b's.csv").write_bytes(CONTENT)
        assert await curl(text.splitlines()[-1], tmp_path) == (
            0,
            "Wrote in/a b's.csv, 2,560 bytes.\n",
        )
        (tmp_path / "a b's.csv").unlink()

        session = {"session": handle} if handle else {}
        listing = await call("list_files", recursive=True, **session)
        assert listing.startswith("in/a b's.csv\t2,560 bytes")
        text = await call(
            "create_transfer_link", path="in/a b's.csv", direction="download", **session
        )
        assert text.startswith("in/a b's.csv, 2,560 bytes. For 15 minutes whoever has this link")
        assert text.splitlines()[1] in text.splitlines()[-1]
        assert (await curl(text.splitlines()[-1], tmp_path))[0] == 0
        assert (tmp_path / "a b's.csv").read_bytes() == CONTENT


async def test_what_ran_can_be_fetched_as_a_notebook(here: Served) -> None:
    await here.call("execute_python", code="6 * 7")
    link = await here.link("session.ipynb", "download")
    answer = await here.http.get(link)
    assert 'filename="session.ipynb"' in answer.headers["content-disposition"]
    assert [cell["source"] for cell in answer.json()["cells"]] == ["6 * 7"]
    await here.call("execute_python", code="43")
    assert len((await here.http.get(link)).json()["cells"]) == 2, "as it is now"
    head = await here.http.head(link)
    assert (head.status_code, head.content) == (200, b"")
    await here.call("execute_python", code="files['session.ipynb'] = b'their own'")
    assert (await here.http.get(link)).text == "their own"


async def test_sse_has_links_too(toy_pool: ToyPool) -> None:
    http = HttpOptions(http_path=None, sse_path="/sse")
    async with (
        open_sessions(toy_pool) as sessions,
        open_http_app(sessions, ServerOptions(), http) as app,
        served(app) as address,
        Client(sse_client(f"{address}/sse"), mode="legacy") as client,
        httpx.AsyncClient() as outsider,
    ):
        running = Served(Caller(client), outsider)
        link = await running.link("x.txt", "upload")
        assert link.startswith(f"{address}/files/")
        assert (await outsider.put(link, content=b"hi")).status_code == 200
        assert await running.call("download_file", path="x.txt") == "hi"


async def test_stdio_has_no_links(toy_pool: ToyPool) -> None:
    async with connected(toy_pool) as call:
        assert "create_transfer_link" not in (call.client.instructions or "")
        names = [tool.name for tool in (await call.client.list_tools()).tools]
        assert "create_transfer_link" not in names


async def test_links_name_the_public_address(toy_pool: ToyPool) -> None:
    http = HttpOptions(public_url="https://python.example.com/team/mcp")
    async with serving(toy_pool, http=http) as running:
        link = await running.link("x", "upload")
    assert link.startswith("https://python.example.com/team/files/")


async def test_wrong_and_expired_links_are_refused_alike(toy_pool: ToyPool) -> None:
    async with serving(toy_pool, http=HttpOptions(transfer_link_seconds=0)) as running:
        expired = await running.link("x", "upload")
        forged = expired[:-4] + "AAAA"
        answers = [
            await running.http.put(link, content=CONTENT)
            for link in (expired, forged, forged + "/x", expired.rpartition("/")[0] + "/")
        ]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (403, "This link is wrong or has expired. Ask for a new one.\n")
    }
    assert all("AAAA" not in answer.text for answer in answers)
    assert toy_pool.sessions == {}


async def test_a_page_of_another_name_cannot_use_a_link(here: Served) -> None:
    link = await here.link("x", "upload")
    rebound = await here.http.put(link, content=b"1", headers={"host": "evil.example"})
    assert rebound.status_code == 421
    foreign = await here.http.put(link, content=b"1", headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert await here.call("list_files") == "[no files]"


async def test_what_is_not_there_gets_no_link(here: Served) -> None:
    refusal = await here.call.refusal("create_transfer_link", path="no.csv", direction="download")
    assert "no.csv" in refusal
    assert "direction" in await here.call.refusal(
        "create_transfer_link", path="x", direction="sideways"
    )


async def test_a_link_ends_with_its_session(toy_pool: ToyPool) -> None:
    async with serving(toy_pool) as running:
        handle = await running.call("start_session")
        for session in ("", handle):
            named = {"session": session} if session else {}
            await running.call("upload_file", path="x", content="1", **named)
            link = await running.link("x", "download", session)
            assert (await running.http.get(link)).status_code == 200
            await running.call("restart_session", **named)
            await running.call("execute_python", code="1")
            gone = await running.http.get(link)
            assert gone.status_code == 410
            assert "ended" in gone.text


async def test_another_replica_serves_links_to_sessions_by_handle(toy_pool: ToyPool) -> None:
    async with (
        serving(toy_pool, secret=SECRET) as first,
        open_sessions(toy_pool, secret=SECRET) as sessions,
        open_http_app(sessions, ServerOptions(), HttpOptions()) as app,
        served(app) as replica,
    ):
        handle = await first.call("start_session")
        by_handle = await first.link("x", "upload", handle)
        own = await first.link("x", "upload")
        there = [f"{replica}/files/{link.rpartition('/')[2]}" for link in (by_handle, own)]
        assert (await first.http.put(there[0], content=b"hi")).status_code == 200
        # What belongs to a connection is where the connection is.
        assert (await first.http.put(there[1], content=b"hi")).status_code == 410
        assert await first.call("download_file", path="x", session=handle) == "hi"


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 200), (b"t" * 32, 403)])
async def test_a_link_survives_a_restart_with_the_same_secret(
    toy_pool: ToyPool, secret: bytes, status: int
) -> None:
    async with serving(toy_pool, secret=SECRET) as before:
        handle = await before.call("start_session")
        link = await before.link("x", "upload", handle)
        outlives = dict(toy_pool.sessions)  # as in a pool whose server was killed
    toy_pool.sessions |= outlives
    async with serving(toy_pool, secret=secret) as after:
        address = (await after.link("x", "upload")).rpartition("/")[0]
        answer = await after.http.put(f"{address}/{link.rpartition('/')[2]}", content=b"hi")
        assert answer.status_code == status


async def test_nobody_gets_a_link_to_the_session_of_another(toy_pool: ToyPool) -> None:
    principal = "ann"
    links = Links(b"k" * 32, lifetime_seconds=60)
    offer = LinkOffer(links, lambda _, token: token)
    async with open_sessions(toy_pool) as sessions:
        server = create_server(Callers(sessions, lambda: principal), ServerOptions(), links=offer)
        async with Client(server) as client:
            call = Caller(client)
            anns = await call("start_session")
            assert await call("create_transfer_link", path="x", direction="upload", session=anns)
            principal = "bob"
            for direction in ("upload", "download"):
                refusal = await call.refusal(
                    "create_transfer_link", path="x", direction=direction, session=anns
                )
                assert "not a session handle of this server and client" in refusal


async def test_limits_hold_for_links(toy_pool: ToyPool) -> None:
    # Four requests of the protocol, the last of which made the link, and one by it.
    async with serving(toy_pool, http=HttpOptions(max_calls_per_minute=6)) as running:
        link = await running.link("x", "upload")
        statuses = [(await running.http.put(link, content=b"1")).status_code for _ in range(6)]
        refused = await running.http.put(link, content=b"1")
        assert statuses[0] == 200
        assert statuses[-1] == refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1


async def test_a_large_file_passes_through_little_memory_and_no_log(tmp_path: Path) -> None:
    size = 120 << 20
    big = tmp_path / "secret name.bin"
    big.touch()
    os.truncate(big, size)
    log: list[str] = []
    with server_process(log, ACA_MCP_LOG_LEVEL="debug") as (address, pid):
        async with (
            Client(f"{address}/mcp", mode="legacy") as client,
            httpx.AsyncClient() as outsider,
        ):
            running = Served(Caller(client), outsider)
            upload = await running.line(big.name, "upload")
            before = peak_kibibytes(pid)
            sent = await curl(upload, tmp_path)
            assert sent == (0, "Wrote secret name.bin, 125,829,120 bytes.\n")
            assert (await curl(upload[:-1], tmp_path))[0] == 22
            big.unlink()
            download = await running.line(big.name, "download")
            assert (await curl(download, tmp_path))[0] == 0
            assert big.stat().st_size == size
            assert peak_kibibytes(pid) - before < 24 << 10
    written = "".join(log)
    assert "secret name" not in written
    for line in (upload, download):
        assert line.rpartition("/")[2][:40] not in written


def peak_kibibytes(pid: int) -> int:
    """The most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])
