"""While a copy takes the place of what crashed others may give up or end it, at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.local.pools import copied, new_identifier, pool_with_checkpoints, result_of, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import Execution

# With much to clear up, so that it takes a while.
CRASH = """
import os, time
for _ in range(20):
    if not os.fork(): time.sleep(60)
os._exit(3)
"""
MOMENTS = [number / 100 for number in range(1, 13, 2)]
"""In seconds, from when it is asked for: the fork of each child takes some milliseconds."""


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[LocalSessionPool]:
    async with pool_with_checkpoints(request.param) as opened:
        yield opened


async def begun(pool: LocalSessionPool) -> str:
    session = new_identifier()
    await run(pool, session, "x = 'before'")
    await copied(pool, session)
    return session


async def test_whoever_gives_up_meanwhile_costs_the_session_nothing(pool: LocalSessionPool) -> None:
    session = await begun(pool)
    for moment in MOMENTS:
        with anyio.move_on_after(moment):
            await run(pool, session, CRASH)
        look = await run(pool, session, "x")
        assert (look.rollback, look.lost_before) == (None, None), moment
        assert result_of(look) == "'before'"
        await copied(pool, session)
    await pool.stop_session(session)


async def test_whoever_ends_it_meanwhile_need_not_wait_and_the_next_use_is_another_session(
    pool: LocalSessionPool,
) -> None:
    for moment in MOMENTS:
        session = await begun(pool)
        crashed: list[Execution] = []

        async def crash(session: str = session, crashed: list[Execution] = crashed) -> None:
            crashed.append(await run(pool, session, CRASH))

        with anyio.fail_after(8):  # less than anything that is waited for in vain
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(crash)
                await anyio.sleep(moment)
                assert await pool.stop_session(session)
        assert crashed[0].session_lost or crashed[0].rollback, moment
        assert (await run(pool, session, "x = 1")).started_session
        await pool.stop_session(session)


@pytest.mark.parametrize("copied_first", [True, False])
async def test_a_session_that_ended_while_nobody_used_it_says_how_far_it_went_back(
    pool: LocalSessionPool, copied_first: bool
) -> None:
    """Where there was no copy yet of what ran last; else nothing is lost, and nothing is said."""
    session = await begun(pool)
    after = 1.5 if copied_first else 0.0
    alarm = "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_DFL)\n"
    code = f"{alarm}y = 2; signal.setitimer(signal.ITIMER_REAL, {after or 0.15})"
    first = await run(pool, session, code)
    if first.rollback is None:  # else it took so long that the code itself was ended
        if copied_first:
            await copied(pool, session)
        await anyio.sleep(after + 0.5)
        next_one = await run(pool, session, "y = 3; 'run'")
        if copied_first:
            assert result_of(next_one) == "'run'"
        else:
            assert next_one.rollback is not None
            assert next_one.rollback.reason == (
                "it was not run, because the session's process had ended meanwhile: "
                "it was ended by SIGALRM"
            )
            assert next_one.rollback.executions == 2
            assert result_of(await run(pool, session, "'y' in globals()")) == "False"
    assert result_of(await run(pool, session, "x")) == "'before'"
    await pool.stop_session(session)
