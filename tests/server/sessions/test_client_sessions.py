"""Whose sessions a call may use, how long they last, and what is said when they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import InvalidRequestError, NotSupportedError, PoolFullError, SessionLostError
from aca_mcp.server.callers import Caller
from aca_mcp.server.sessions.client_sessions import ClientSessions, open_sessions
from aca_mcp.server.sessions.limits import Limits
from tests.support.odd_pools import OddPool
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup

    from tests.support.toy_pool import ToyPool

SECRET = b"s" * 32


@pytest.fixture
async def tasks() -> AsyncGenerator[TaskGroup]:
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


async def test_any_server_with_the_secret_serves_a_handle(toy_pool: ToyPool) -> None:
    async with (
        open_sessions(toy_pool, secret=SECRET) as here,
        open_sessions(toy_pool, secret=SECRET) as there,
    ):
        handle = here.start("ann").handle
        session = await here.find("ann", handle)
        await session.python.execute("x = 1")
        elsewhere = await there.find("ann", handle)
        assert (await elsewhere.python.execute("x")).lost_before is None
        assert await there.find("ann", handle) is elsewhere
        with pytest.raises(InvalidRequestError):
            await there.find("bob", handle)


async def test_a_session_that_ended_elsewhere_is_not_begun_anew_in_silence(
    toy_pool: ToyPool, tasks: TaskGroup
) -> None:
    sessions = ClientSessions(toy_pool, tasks, secret=SECRET)
    other = ClientSessions(toy_pool, tasks, secret=SECRET)
    handle = sessions.start("").handle
    await (await sessions.find("", handle)).python.execute("x = 1")
    toy_pool.lose(None)
    with pytest.raises(SessionLostError, match="has ended"):
        await other.find("", handle)
    assert toy_pool.sessions == {}


async def test_where_the_pool_cannot_tell_the_next_result_does(tasks: TaskGroup) -> None:
    pool = OddPool(NotSupportedError("This pool cannot tell."), "get_session")
    here, there = (
        ClientSessions(pool, tasks, secret=SECRET),
        ClientSessions(pool, tasks, secret=SECRET),
    )
    handle = here.start("").handle
    await (await here.find("", handle)).python.execute("x = 1")
    pool.toy.lose(None)
    session = await there.find("", handle)
    assert (await session.python.execute("1")).lost_before is not None


async def test_a_session_by_handle_that_nobody_uses_is_ended(toy_pool: ToyPool) -> None:
    async with open_sessions(toy_pool, limits=Limits(idle_seconds=0.1)) as sessions:
        handle = sessions.start("").handle
        await (await sessions.find("", handle)).python.execute("x = 1")
        await until(lambda: not toy_pool.sessions)
        with pytest.raises(SessionLostError, match="nobody used it"):
            await sessions.find("", handle)


async def test_one_that_another_server_may_be_using_is_left_alone(toy_pool: ToyPool) -> None:
    async with open_sessions(toy_pool, secret=SECRET, limits=Limits(idle_seconds=0.1)) as sessions:
        session = sessions.start("")
        await session.python.execute("x = 1")
        with anyio.fail_after(20):
            while await sessions.find("", session.handle) is session:  # noqa: ASYNC110 -- tells nobody
                await anyio.sleep(0.01)
        (kept,) = toy_pool.sessions.values()
        assert not kept.stopped


async def test_one_that_runs_code_is_used(toy_pool: ToyPool) -> None:
    async with open_sessions(toy_pool, limits=Limits(idle_seconds=0.05)) as sessions:
        session = sessions.start("")
        await session.python.execute("await __import__('anyio').sleep(0.3)")
        assert await sessions.find("", session.handle) is session


async def test_clients_have_so_many_each(toy_pool: ToyPool, tasks: TaskGroup) -> None:
    sessions = ClientSessions(toy_pool, tasks, limits=Limits(handles=1))
    sessions.start("ann")
    with pytest.raises(PoolFullError):
        sessions.start("ann")
    sessions.start("bob")


async def test_a_caller_without_a_connection_gets_a_session_and_its_name(
    toy_pool: ToyPool, tasks: TaskGroup
) -> None:
    caller = Caller(ClientSessions(toy_pool, tasks), "ann", None)
    async with caller.session_or_new("") as (session, remark):
        await session.python.execute("x = 1")
    assert f'session="{session.handle}"' in remark
    async with caller.session_or_new(session.handle) as (again, remark):
        assert (again, remark) == (session, "")
    with pytest.raises(InvalidRequestError, match="missing"):
        await caller.session("")


async def test_a_session_whose_handle_is_never_told_is_ended(
    toy_pool: ToyPool, tasks: TaskGroup
) -> None:
    sessions = ClientSessions(toy_pool, tasks)
    caller = Caller(sessions, "", None)
    handles: list[str] = []

    async def fail() -> None:
        async with caller.session_or_new("") as (session, _):
            handles.append(session.handle)
            await session.python.execute("x = 1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert toy_pool.sessions == {}
    with pytest.raises(SessionLostError):
        await sessions.find("", handles[0])
