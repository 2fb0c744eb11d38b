"""Three pools as one, before three emulators: full, failing, and gone in the middle."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure.several_pools import TRUSTED_SECONDS, NamedPool, SeveralPools, order_of
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.faults import Faults
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.errors import (
    ExecutionOutcomeUnknownError,
    PoolFullError,
    PoolUnavailableError,
    SessionPoolError,
)
from tests.support.clock import Clock
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at
from tests.support.foreign_errors import content
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from aca_mcp.settings import ApiVersion

NAMES = ("one", "two", "three")
ENDPOINTS = tuple(f"http://{name}.test{POOL_PATH}" for name in NAMES)


@pytest.fixture(autouse=True)
def own_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's preparation changes the directory, here of this process; it is put back."""
    monkeypatch.chdir(Path.cwd())


class Place(httpx.AsyncBaseTransport):
    """An emulator that can go."""

    def __init__(self, inner: InProcess, toy: ToyPool, faults: Faults) -> None:
        self._inner = inner
        self.toy = toy
        self.faults = faults
        self.is_gone = False
        self.refused_after: int | None = None
        """Pieces of code that run before the next is refused."""
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_gone:
            raise httpx.ConnectError("gone", request=request)
        self.requests += 1
        if request.method == "POST" and self.refused_after is not None:
            self.refused_after -= 1
            if self.refused_after < 0:
                return httpx.Response(503)
        return await self._inner.handle_async_request(request)


@asynccontextmanager
async def places(*sizes: int) -> AsyncGenerator[list[Place]]:
    async with AsyncExitStack() as stack:
        made: list[Place] = []
        for size in sizes:
            toy, faults = ToyPool(max_sessions=size), Faults()
            options = EmulatorOptions(faults=faults, max_concurrent_sessions=size)
            app = await stack.enter_async_context(open_emulator(toy, options))
            made.append(Place(InProcess(app), toy, faults))
        yield made


@asynccontextmanager
async def replica(
    there: Sequence[Place],
    clock: Clock | None = None,
    api_version: ApiVersion = "2025-10-02-preview",
) -> AsyncGenerator[SeveralPools]:
    """One server's view of the pools."""
    async with AsyncExitStack() as stack:
        pools = [
            NamedPool(
                name,
                endpoint,
                await stack.enter_async_context(
                    azure_pool_at(
                        endpoint,
                        transport=place,
                        api_version=api_version,
                        rich_results=False,
                        retry_seconds=0,
                    )
                ),
            )
            for name, endpoint, place in zip(NAMES, ENDPOINTS, there, strict=True)
        ]
        yield SeveralPools(pools, clock=clock or Clock())


async def count(pools: SeveralPools, identifier: str) -> int:
    """Count the executions of a session, in the session."""
    execution = await pools.execute(
        identifier, "n = globals().get('n', 0) + 1\nn", timeout_seconds=5
    )
    return int(str(execution.outputs[0].data["text/plain"]))


def identifiers(number: int) -> list[str]:
    return [secrets.token_urlsafe(32) for _ in range(number)]


def preferring(at: int) -> str:
    """An identifier whose session goes to that pool first."""
    return next(each for each in iter(lambda: identifiers(1)[0], "") if first(each) == at)


def first(identifier: str) -> int:
    return order_of(identifier, ENDPOINTS)[0]


@given(st.lists(st.text(), min_size=1, max_size=8, unique=True), st.text(), st.randoms())
def test_the_order_is_the_same_everywhere_and_moves_no_more_than_it_must(
    pools: list[str], identifier: str, random: object
) -> None:
    named = [pools[at] for at in order_of(identifier, pools)]
    assert sorted(named) == sorted(pools)
    assert [sorted(pools)[at] for at in order_of(identifier, sorted(pools))] == named
    without = [each for each in pools if each != named[0]]
    assert [without[at] for at in order_of(identifier, without)] == named[1:]


def test_the_shares_of_the_pools_are_even() -> None:
    firsts = [order_of(str(number), ENDPOINTS)[0] for number in range(3000)]
    assert all(850 < firsts.count(at) < 1150 for at in range(3))


async def test_a_session_stays_where_it_is_and_every_replica_finds_it() -> None:
    async with places(50, 50, 50) as there, replica(there) as ours, replica(there) as other:
        sessions = identifiers(20)
        for expected, pools in ((1, ours), (2, other), (3, ours), (4, other)):
            assert [await count(pools, each) for each in sessions] == [expected] * 20
        assert sum(len(place.toy.sessions) for place in there) == 20
        assert all(place.toy.sessions for place in there)
        for each in sessions:
            assert await other.stop_session(each)
        assert not any(place.toy.sessions for place in there)


async def test_a_call_in_the_steady_state_is_one_request() -> None:
    async with places(9, 9, 9) as there, replica(there) as pools:
        identifier = identifiers(1)[0]
        await count(pools, identifier)
        before = sum(place.requests for place in there)
        await count(pools, identifier)
        assert sum(place.requests for place in there) == before + 1


async def test_one_full_one_failing_one_gone_in_the_middle() -> None:
    clock = Clock()
    async with (
        places(5, 100, 100) as there,
        replica(there, clock) as ours,
        replica(there, clock) as other,
    ):
        there[1].faults.left["503"] = 25
        counts: dict[str, int] = {}
        for identifier in identifiers(60):
            counts[identifier] = await count(ours, identifier)
        assert set(counts.values()) == {1}
        homes = dict(zip(counts, await homes_of(there, list(counts)), strict=True))
        # The full one is full, and what came while one failed went elsewhere.
        assert list(homes.values()).count(0) == 5
        assert len(homes) == 60
        there[2].is_gone = True
        went = [each for each, at in homes.items() if at == 2]
        assert went
        for identifier, at in homes.items():
            for pools in (ours, other):
                if at == 2:
                    ask = (
                        count(ours, identifier) if pools is ours else other.get_session(identifier)
                    )
                    with pytest.raises(PoolUnavailableError, match="three"):
                        await ask
                else:
                    assert await count(pools, identifier) > 1
        # New sessions do without it; and it comes back with what it had.
        fresh = preferring(2)
        assert await count(ours, fresh) == 1
        clock.now += TRUSTED_SECONDS
        there[2].is_gone = False
        assert [await count(ours, each) for each in went] == [2] * len(went)
        assert await count(other, fresh) == 2
        every = [each for place in there for each in place.toy.sessions]
        assert len(set(every)) == len(every) == 61


async def homes_of(there: Sequence[Place], sessions: Sequence[str]) -> list[int]:
    """The pool of each session, of which there must be one."""
    found: dict[str, int] = {}
    for at, endpoint in enumerate(ENDPOINTS):
        async with azure_pool_at(endpoint, transport=there[at], retry_seconds=5) as pool:
            for identifier in sessions:
                if await pool.get_session(identifier) is not None:
                    assert identifier not in found
                    found[identifier] = at
    return [found[each] for each in sessions]


async def test_a_session_whose_pool_is_silent_is_not_begun_elsewhere() -> None:
    clock = Clock()
    async with places(9, 9, 9) as there, replica(there, clock) as pools:
        identifier = preferring(0)
        assert await count(pools, identifier) == 1
        there[0].is_gone = True
        for _ in range(2):
            with pytest.raises(PoolUnavailableError, match="is not moved"):
                await count(pools, identifier)
            clock.now += 2 * TRUSTED_SECONDS
        assert not there[1].toy.sessions
        assert not there[2].toy.sessions


async def test_a_session_that_was_begun_before_its_code_was_refused_is_in_that_pool_alone() -> None:
    async with places(9, 9, 9) as there, replica(there) as pools:
        identifier = preferring(0)
        there[0].refused_after = 1  # which has begun the session, and the code comes next
        with pytest.raises(PoolUnavailableError, match="is not moved"):
            await count(pools, identifier)
        there[0].refused_after = None
        assert not there[1].toy.sessions
        assert not there[2].toy.sessions
        assert await count(pools, identifier) == 1


async def test_a_pool_that_cannot_tell_keeps_the_session_that_was_begun_there() -> None:
    clock = Clock()
    async with places(1, 9, 9) as there, replica(there, clock, "2024-10-02-preview") as pools:
        other, identifier = preferring(0), preferring(0)
        assert await count(pools, other) == 1
        assert await count(pools, identifier) == 1  # at its second choice
        there[0].toy.lose("there is room again")
        clock.now += 2 * TRUSTED_SECONDS
        assert await count(pools, identifier) == 2


async def test_a_session_that_ended_begins_anew_where_there_is_room() -> None:
    async with places(1, 9, 9) as there, replica(there) as pools:
        identifier = preferring(0)
        assert await count(pools, identifier) == 1
        there[0].toy.lose("its cooldown ended")
        another = preferring(0)
        assert await count(pools, another) == 1
        again = await pools.execute(identifier, "1", timeout_seconds=5)
        assert again.started_session
        assert there[1].toy.sessions or there[2].toy.sessions


async def test_an_unknown_outcome_is_not_tried_elsewhere() -> None:
    async with places(9, 9, 9) as there, replica(there) as pools:
        identifier = preferring(1)
        there[1].faults.left["drop-before"] = 3
        with pytest.raises(SessionPoolError) as told:
            await count(pools, identifier)
        assert isinstance(told.value, ExecutionOutcomeUnknownError)
        assert not there[0].toy.sessions
        assert not there[2].toy.sessions
        assert await count(pools, identifier) == 1


async def test_when_every_pool_is_full_that_is_said() -> None:
    async with places(0, 0, 0) as there, replica(there) as pools:
        there[1].is_gone = True
        with pytest.raises(PoolFullError):
            await count(pools, identifiers(1)[0])


async def test_every_operation_finds_the_session() -> None:
    async with places(9, 9, 9) as there, replica(there) as pools, replica(there) as other:
        identifier = identifiers(1)[0]
        assert await pools.get_session(identifier) is None
        assert not await pools.keep_alive(identifier)
        await pools.upload_file(identifier, "a", content(b"abc"))
        assert [each.path for each in (await other.list_files(identifier)).entries] == ["a"]
        async with other.download_file(identifier, "a") as download:
            assert b"".join([chunk async for chunk in download.chunks]) == b"abc"
        await other.delete_file(identifier, "a")
        assert await other.keep_alive(identifier)
        assert (await other.metadata()).kind == "azure"
        assert sum(len(place.toy.sessions) for place in there) == 1
        assert await other.stop_session(identifier)
        assert not await pools.stop_session(identifier)


FIGURES = Path(__file__).parents[2] / "docs" / "azure.md"
SIMULATED = 90


async def test_the_figures_of_the_simulation_are_those_of_the_document() -> None:
    clock = Clock()
    figures: dict[str, object] = {}
    async with (
        places(20, 1000, 1000) as there,
        replica(there, clock) as ours,
        replica(there, clock) as other,
    ):
        there[1].faults.left["503"] = 15
        sessions = [hashlib.sha256(f"session-{n}".encode()).hexdigest() for n in range(SIMULATED)]
        for identifier in sessions:
            clock.now += 1
            assert await count(ours, identifier) == 1
        asked = sum(place.requests for place in there)
        homes = dict(zip(sessions, await homes_of(there, sessions), strict=True))
        figures["Sessions begun"] = SIMULATED
        for at, what in enumerate(("was full at 20", "failed 15 times", "went in the middle")):
            figures[f"- in pool {at + 1}, which {what}"] = list(homes.values()).count(at)
        moved = sum(first(each) != at for each, at in homes.items())
        figures["- elsewhere than in the pool of their first choice"] = moved
        figures["Requests for a first use, on average"] = f"{asked / SIMULATED:.2f}"
        clock.now += TRUSTED_SECONDS
        there[2].is_gone = True
        outcomes: list[int | None] = []
        for number, identifier in enumerate(sessions):
            pools = ours if number % 2 else other
            try:
                # The other replica has seen none of them: a handle is checked before it is used.
                await pools.get_session(identifier)
                outcomes.append(await count(pools, identifier))
            except PoolUnavailableError:
                outcomes.append(None)
        told = [each for each, outcome in zip(sessions, outcomes, strict=True) if outcome is None]
        figures["With pool 3 gone: sessions that went on"] = outcomes.count(2)
        figures["- told that their pool cannot be reached"] = len(told)
        begun = [hashlib.sha256(f"more-{n}".encode()).hexdigest() for n in range(30)]
        for identifier in begun:
            assert await count(ours, identifier) == 1
        figures["- begun meanwhile, in the others"] = len(begun)
        clock.now += TRUSTED_SECONDS
        there[2].is_gone = False
        back = [await count(ours, each) for each in told]
        figures["With pool 3 back: sessions that had what they had"] = back.count(2)
        every = [each for place in there for each in place.toy.sessions]
        figures["Sessions in two pools at any time"] = len(every) - len(set(every))
        figures["Sessions lost"] = SIMULATED + len(begun) - len(every)
    assert set(homes.values()) == {0, 1, 2}
    rows = "".join(f"| {what} | {figure} |\n" for what, figure in figures.items())
    assert rows in FIGURES.read_text(encoding="utf-8"), rows
