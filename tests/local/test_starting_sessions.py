"""A session's start: its first process is made ahead, where sessions have a keeper."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, new_identifier, result_of, run
from tests.support.processes import children, descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.pool import LocalSessionPool


@pytest.fixture
def strangers() -> set[int]:
    return descendants()


@pytest.fixture
async def pool(strangers: set[int]) -> AsyncGenerator[LocalSessionPool]:
    """One whose sessions have keepers, with none ready; nothing of it is left at its end."""
    async with open_local_pool(configuration(checkpoints=1, ready_sessions=0)) as pool:
        await pool.metadata()  # answered when the template has imported everything
        yield pool
    await until(lambda: not descendants(without=strangers), 30)


@pytest.fixture
def template(pool: LocalSessionPool, strangers: set[int]) -> int:
    """The process whose children are the first ones of sessions."""
    assert pool.session_count == 0
    (inner,) = (each for each in descendants(without=strangers) if not children(each))
    return inner


async def the_one_ahead(pool: LocalSessionPool, template: int) -> int:
    """The process that waits to be a session's, once there is one."""
    session = new_identifier()
    assert result_of(await run(pool, session, "1")) == "1"
    used = {each for each in children(template) if children(each)}
    await pool.stop_session(session)
    await until(lambda: len(children(template) - used) == 1, 30)
    (waiting,) = children(template) - used
    await until(lambda: "Seccomp:\t2" in Path(f"/proc/{waiting}/status").read_text(), 30)
    return waiting


async def test_the_next_one_has_its_first_process_before_anybody_asks(
    pool: LocalSessionPool, template: int
) -> None:
    uses: list[set[int]] = []
    session = ""
    while not any(uses) and len(uses) < 20:  # the pool may be asked sooner than it is told of it
        waiting = await the_one_ahead(pool, template)
        assert not children(waiting)
        session = new_identifier()
        await run(pool, session, "kept = 41")
        uses.append(children(waiting))
    assert uses[-1], "what runs code is a child of it"
    assert result_of(await run(pool, session, "kept + 1")) == "42"
    await pool.stop_session(session)
    await until(lambda: uses[-1].isdisjoint(descendants()), 30)


async def test_one_that_ended_while_it_waited_is_nobodys_loss(
    pool: LocalSessionPool, template: int
) -> None:
    waiting = await the_one_ahead(pool, template)
    os.kill(waiting, signal.SIGKILL)
    await until(lambda: waiting not in descendants(), 30)
    first = await run(pool, new_identifier(), "40 + 2")
    assert result_of(first) == "42"
    assert first.lost_before is None


async def test_it_goes_with_its_template(pool: LocalSessionPool, template: int) -> None:
    waiting = await the_one_ahead(pool, template)
    os.kill(template, signal.SIGKILL)
    await until(lambda: waiting not in descendants(), 30)
    assert result_of(await run(pool, new_identifier(), "40 + 2")) == "42"


async def test_many_at_once_are_as_apart_as_one_after_the_other(pool: LocalSessionPool) -> None:
    """Only one of them can have the process that was made ahead."""
    told: list[str | None] = []

    async def start() -> None:
        session = new_identifier()
        written = await run(pool, session, "open('mine', 'x').close(); import os; os.getpid()")
        told.append(result_of(written))
        await pool.stop_session(session)

    for many in (1, 4, 1, 3):
        async with anyio.create_task_group() as tasks:
            for _ in range(many):
                tasks.start_soon(start)
        await anyio.sleep(0.3)  # more than it takes to make one ahead, or less: both are right
    assert len(told) == 9
    assert None not in told
    assert len(set(told)) == 1, "each is the same process of its own namespace"


async def test_who_gives_up_while_a_session_starts_leaves_no_process(
    pool: LocalSessionPool, template: int
) -> None:
    await the_one_ahead(pool, template)
    for milliseconds in (1, 3, 6, 10, 15):
        session = new_identifier()
        with anyio.move_on_after(milliseconds / 1000):
            await run(pool, session, "1")
        await pool.stop_session(session)
    await until(lambda: len(descendants(template)) == 1, 30)  # the next one that waits
