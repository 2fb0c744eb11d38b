"""How much a principal may ask: decided with a clock that the test turns."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.http.rate_limits import Limits, TooMuchError, share_of
from aca_mcp.server.requests_in_flight import InFlight
from tests.support.clock import Clock


def ask(limits: Limits, principal: str = "ann") -> bool:
    """Whether a request that ends at once is let in."""
    try:
        with limits.one_more(principal):
            return True
    except TooMuchError as error:
        return error.retry_after_seconds < 1


def test_a_minute_has_its_allowance_and_no_more() -> None:
    clock = Clock()
    limits = Limits(concurrent=5, per_minute=10, connections=9, clock=clock)
    assert [ask(limits) for _ in range(11)] == [True] * 10 + [False]
    clock.now += 6
    assert [ask(limits) for _ in range(2)] == [True, False]
    clock.now += 60
    assert all(ask(limits) for _ in range(10))


def test_principals_do_not_pay_for_each_other() -> None:
    limits = Limits(concurrent=1, per_minute=1, connections=9, clock=Clock())
    assert ask(limits, "ann")
    assert not ask(limits, "ann")
    assert ask(limits, "bob")


def test_at_once_there_are_so_many() -> None:
    limits = Limits(concurrent=2, per_minute=1000, connections=9, clock=Clock())
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(limits.one_more("ann"))
        with pytest.raises(TooMuchError, match="at once"), limits.one_more("ann"):
            pass
        assert ask(limits, "bob")
    assert ask(limits)


def test_one_that_has_not_arrived_gives_way_to_one_that_comes() -> None:
    limits = Limits(concurrent=3, per_minute=1000, connections=9, clock=Clock())
    gone: list[str] = []
    with ExitStack() as running:
        first, second, third = (
            running.enter_context(limits.one_more("ann", partial(gone.append, name)))
            for name in ("first", "second", "third")
        )
        second()
        with limits.one_more("ann"):
            assert gone == ["first"]
        with limits.one_more("ann"):
            assert gone == ["first", "third"]
        with pytest.raises(TooMuchError, match="at once"), limits.one_more("ann"):
            pass
        third()
        first()
        assert ask(limits, "bob")


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_no_window_of_a_minute_has_twice_the_allowance(waits: list[float], per_minute: int) -> None:
    clock = Clock()
    limits = Limits(concurrent=1, per_minute=per_minute, connections=9, clock=clock)
    let_in: list[float] = []
    for wait in waits:
        clock.now += wait
        if ask(limits):
            let_in.append(clock.now)
    for begin in let_in:
        assert sum(begin <= time < begin + 60 for time in let_in) <= 2 * per_minute


@pytest.mark.parametrize(
    ("total", "wanted", "share"),
    [(10, None, 5), (10, 3, 3), (10, 10, 9), (10, 1000, 9), (2, None, 1), (1, None, 1), (1, 5, 1)],
)
def test_a_share_leaves_something_for_others(total: int, wanted: int | None, share: int) -> None:
    assert share_of(total, wanted) == share


def test_streams_and_connections_are_held_to_the_share() -> None:
    limits = Limits(concurrent=9, per_minute=1000, connections=2, clock=Clock())
    with ExitStack() as held:
        held.enter_context(limits.one_stream("ann"))
        held.enter_context(limits.one_stream("ann"))
        held.enter_context(limits.one_opening("ann", 1))
        for one_more in (limits.one_stream("ann"), limits.one_opening("ann", 1)):
            with pytest.raises(TooMuchError, match="MAX_CONNECTIONS_PER_PRINCIPAL"), one_more:
                pass
        held.enter_context(limits.one_stream("bob"))
    with limits.one_stream("ann"), limits.one_opening("ann", 1):
        pass


def test_requests_and_streams_share_the_connections() -> None:
    """Else one principal could hold all of them: half by each."""
    limits = Limits(concurrent=9, per_minute=1000, connections=3, clock=Clock())
    with ExitStack() as held:
        held.enter_context(limits.one_more("ann"))
        held.enter_context(limits.one_more("ann"))
        held.enter_context(limits.one_stream("ann"))
        for another in (limits.one_more("ann"), limits.one_stream("ann")):
            with pytest.raises(TooMuchError, match="MAX_CONNECTIONS_PER_PRINCIPAL"), another:
                pass
        assert ask(limits, "bob")
    assert ask(limits)


def test_whoever_is_idle_is_forgotten() -> None:
    clock = Clock()
    limits = Limits(concurrent=1, per_minute=60, connections=9, clock=clock)
    for number in range(100):
        ask(limits, f"principal {number}")
        clock.now += 2
    assert len(limits._uses) <= 2  # pyright: ignore[reportPrivateUsage] -- memory has no other face


async def test_work_is_waited_for_but_not_for_ever() -> None:
    in_flight = InFlight()
    assert await in_flight.finished(within_seconds=0)
    with in_flight.track():
        assert not await in_flight.finished(within_seconds=0.01)
    async with anyio.create_task_group() as tasks:
        with in_flight.track():
            tasks.start_soon(wait_for, in_flight)
            await anyio.wait_all_tasks_blocked()


async def wait_for(in_flight: InFlight) -> None:
    with anyio.fail_after(20):
        assert await in_flight.finished(within_seconds=60)
