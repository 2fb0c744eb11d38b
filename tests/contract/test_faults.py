"""What a caller of the Azure pool sees on bad days: nothing ran twice, and nothing is left over."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from aca_mcp.emulator.access import Access
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.faults import Faults
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.errors import (
    AuthenticationFailedError,
    ExecutionOutcomeUnknownError,
    PoolFullError,
    PoolUnavailableError,
)
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, new_identifier
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at
from tests.support.streams import content

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import SessionPool

COUNT = "n = globals().get('n', 0) + 1\nopen('runs.txt', 'a').write('x'); n"
MAX_SESSIONS = 3


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalSessionPool]:
    """What is behind every emulator of this module."""
    async with open_local_pool(
        configuration(max_concurrent_sessions=MAX_SESSIONS, max_timeout_seconds=220)
    ) as pool:
        yield pool


class Stand:
    """An Azure pool before an emulator, with the faults that are to come."""

    def __init__(self, pool: SessionPool, transport: InProcess, faults: Faults) -> None:
        self.pool = pool
        self.transport = transport
        self.faults = faults
        self.identifier = new_identifier()

    async def count(self) -> str | bytes:
        """Run code that counts how often it ran."""
        with anyio.fail_after(20):
            execution = await self.pool.execute(self.identifier, COUNT, timeout_seconds=15)
        assert execution.error is None
        return execution.outputs[0].data["text/plain"]

    async def runs(self) -> int:
        """How often it really ran."""
        async with self.pool.download_file(self.identifier, "runs.txt") as download:
            return len(b"".join([chunk async for chunk in download.chunks]))


@asynccontextmanager
async def standing(local: LocalSessionPool, *, token: str = "") -> AsyncGenerator[Stand]:
    faults = Faults()
    options = EmulatorOptions(Access(token), faults, MAX_SESSIONS)
    async with open_emulator(local, options) as app:
        transport = InProcess(app)
        endpoint = f"http://127.0.0.1{POOL_PATH}"
        async with azure_pool_at(endpoint, transport=transport, token=token) as pool:
            stand = Stand(pool, transport, faults)
            yield stand
            with anyio.fail_after(10):
                await pool.stop_session(stand.identifier)
        async with httpx.AsyncClient(transport=transport) as http:
            left = await http.get(
                f"{endpoint}/listSessions?api-version=2025-10-02-preview",
                headers={"Authorization": f"Bearer {token or 'any'}"},
            )
        assert left.json() == {"sessions": []}


async def test_a_call_in_the_steady_state_is_one_request(local: LocalSessionPool) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        for number in range(2, 7):
            before = len(stand.transport.requests)
            assert await stand.count() == str(number)
            assert len(stand.transport.requests) == before + 1
        # And so was the first.
        assert stand.transport.sent("POST", "/executions") == 6


@pytest.mark.parametrize("fault", ["429:2", "503:2", "expired-token:1", "latency:0.05"])
async def test_what_cannot_have_run_is_run_once(local: LocalSessionPool, fault: str) -> None:
    async with standing(local) as stand:
        stand.faults.add(fault)
        assert await stand.count() == "1"
        assert await stand.runs() == 1


@pytest.mark.parametrize("fault", ["drop-before:2", "500:2"])
async def test_an_outcome_that_nobody_knows_is_said(local: LocalSessionPool, fault: str) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        stand.faults.add(fault)
        with pytest.raises(ExecutionOutcomeUnknownError, match="not sent again"):
            await stand.count()
        assert await stand.runs() == 1


async def test_an_outcome_lost_on_the_way_is_fetched(local: LocalSessionPool) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        stand.faults.add("drop-after:1")
        assert await stand.count() == "2"
        assert await stand.runs() == 2
        assert stand.transport.sent("POST", "/executions") == 2


async def test_a_session_that_was_lost_is_said_to_be(local: LocalSessionPool) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        stand.faults.add("session-loss:1")
        with anyio.fail_after(20):
            after = await stand.pool.execute(stand.identifier, COUNT, timeout_seconds=15)
            again = await stand.pool.execute(stand.identifier, COUNT, timeout_seconds=15)
        assert after.outputs[0].data["text/plain"] == "1"
        assert after.lost_before is not None
        assert after.started_session
        assert again.lost_before is None
        assert await stand.runs() == 2


async def test_a_loss_noticed_by_a_listing_is_told_with_the_next_execution(
    local: LocalSessionPool,
) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        stand.faults.add("session-loss:1")
        assert (await stand.pool.list_files(stand.identifier)).entries == ()
        after = await stand.pool.execute(stand.identifier, "1", timeout_seconds=15)
        assert after.lost_before is not None


async def test_reading_survives_every_fault(local: LocalSessionPool) -> None:
    async with standing(local) as stand:
        assert await stand.count() == "1"
        for fault in (
            "429:1",
            "500:1",
            "503:1",
            "drop-before:1",
            "drop-after:1",
            "expired-token:1",
        ):
            stand.faults.add(fault)
            assert await stand.runs() == 1


async def upload(stand: Stand, whole: bytes) -> None:
    with anyio.fail_after(20):
        await stand.pool.upload_file(stand.identifier, "a.txt", content(whole))


@pytest.mark.parametrize("fault", ["429:1", "503:1", "expired-token:1", "latency:0.05"])
async def test_an_upload_that_was_turned_away_arrives(local: LocalSessionPool, fault: str) -> None:
    async with standing(local) as stand:
        stand.faults.add(fault)
        await upload(stand, b"abc")
        listing = await stand.pool.list_files(stand.identifier)
        assert [(entry.path, entry.size_bytes) for entry in listing.entries] == [("a.txt", 3)]


@pytest.mark.parametrize("fault", ["500:1", "drop-before:1", "drop-after:1", "malformed:1"])
async def test_an_upload_that_nobody_knows_of_is_said_and_can_be_repeated(
    local: LocalSessionPool, fault: str
) -> None:
    async with standing(local) as stand:
        stand.faults.add(fault)
        with pytest.raises(PoolUnavailableError, match="Upload it again"):
            await upload(stand, b"abc")
        await upload(stand, b"abcd")
        async with stand.pool.download_file(stand.identifier, "a.txt") as download:
            assert b"".join([chunk async for chunk in download.chunks]) == b"abcd"


async def test_a_full_pool_is_explained_and_becomes_free(local: LocalSessionPool) -> None:
    async with standing(local) as stand:
        others = [new_identifier() for _ in range(MAX_SESSIONS)]
        for other in others:
            await stand.pool.execute(other, "1", timeout_seconds=15)
        with pytest.raises(PoolFullError, match=f"already '{MAX_SESSIONS}' active"):
            await stand.count()
        for other in others:
            assert await stand.pool.stop_session(other)
        assert await stand.count() == "1"


@pytest.mark.parametrize(("sent", "says"), [("bad", "audience"), ("good-without-role", "Executor")])
async def test_tokens_are_checked_where_that_is_asked_for(
    local: LocalSessionPool, sent: str, says: str
) -> None:
    async with standing(local, token="good") as stand:
        assert await stand.count() == "1"
        endpoint = f"http://127.0.0.1{POOL_PATH}"
        async with azure_pool_at(endpoint, transport=stand.transport, token=sent) as pool:
            with pytest.raises(AuthenticationFailedError, match=says):
                await pool.execute(stand.identifier, COUNT, timeout_seconds=15)
        assert await stand.runs() == 1


async def test_code_sent_as_it_is_works_too(local: LocalSessionPool) -> None:
    async with open_emulator(local) as app:
        endpoint = f"http://127.0.0.1{POOL_PATH}"
        async with azure_pool_at(endpoint, transport=InProcess(app), rich_results=False) as pool:
            identifier = new_identifier()
            first = await pool.execute(
                identifier, "x = 1\nimport os; os.getcwd()", timeout_seconds=15
            )
            assert first.started_session
            assert first.outputs[0].data["text/plain"] == "/mnt/data"
            second = await pool.execute(identifier, "x / 0", timeout_seconds=15)
            assert second.error is not None
            assert second.error.name == "ZeroDivisionError"
            await pool.stop_session(identifier)
            assert (await pool.execute(identifier, "1", timeout_seconds=15)).started_session
            await pool.stop_session(identifier)
