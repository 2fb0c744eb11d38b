"""Running code in a local pool that is interrupted, that ends its session, or that has company."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.embedded.request_output import RequestOutput
from aca_mcp.errors import PoolFullError
from aca_mcp.local.exit_reasons import describe_status, not_run
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import ExecutionStatus, Rollback
from tests.local.pools import (
    SLEEPING,
    STUBBORN,
    Started,
    configuration,
    new_identifier,
    result_of,
    run,
    running,
)
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import Execution

# Interrupting and cancelling


async def test_cancelling_the_caller_interrupts_the_code_and_keeps_the_session(
    pool: LocalSessionPool, identifier: str
) -> None:
    started = Started()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run(pool, identifier, SLEEPING, on_output=started))
        with anyio.fail_after(20):
            await started.event.wait()
        tasks.cancel_scope.cancel()
    execution = await run(pool, identifier, "kept")
    assert result_of(execution) == "1"
    assert execution.stdout.text == ""


async def test_cancelling_the_caller_of_code_that_will_not_stop_ends_the_session() -> None:
    async with open_local_pool(configuration(interrupt_grace_seconds=0.3)) as pool:
        started = Started()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: run(pool, "stubborn", STUBBORN, on_output=started))
            with anyio.fail_after(20):
                await started.event.wait()
            tasks.cancel_scope.cancel()
        after = await run(pool, "stubborn", "1")
        assert after.started_session
        assert after.lost_before == "the code would not stop when it was interrupted"


async def test_cancelling_while_a_session_starts_leaves_the_pool_in_order() -> None:
    async with open_local_pool(configuration(max_concurrent_sessions=1)) as pool:
        with anyio.move_on_after(0.02) as scope:
            await pool.execute("cancelled", "1", timeout_seconds=20)
        assert scope.cancelled_caught
        assert result_of(await run(pool, "next-one", "1")) == "1"


# Ends


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os._exit(3)", "its process ended itself (exit code 3)"),
        ("import ctypes; ctypes.string_at(0)", "it crashed (SIGSEGV, a fault in compiled code)"),
        ("import os; os.close(3)", "its process ended itself (exit code 0)"),
    ],
)
async def test_a_session_that_dies_is_told_of_now_and_next_time(
    pool: LocalSessionPool, identifier: str, code: str, why: str
) -> None:
    execution = await run(pool, identifier, f"print('before', flush=True)\n{code}")
    assert execution.status is ExecutionStatus.FAILED
    assert execution.stdout.text == "before\n"
    assert execution.session_lost == why
    after = await run(pool, identifier, "1")
    assert (after.started_session, after.lost_before) == (True, why)


async def test_a_session_that_dies_between_runs_is_told_of_next_time() -> None:
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        strangers = descendants()
        await run(pool, "victim", "x = 1")
        (session,) = descendants() - strangers
        os.kill(session, signal.SIGKILL)
        await until(lambda: session not in descendants())
        after = await run(pool, "victim", "1")
        assert after.started_session
        assert after.lost_before == describe_status(-signal.SIGKILL)
        assert (await run(pool, "victim", "1")).lost_before is None


async def test_a_session_is_told_of_by_whatever_is_done_next(
    pool: LocalSessionPool, identifier: str
) -> None:
    """Files are as lost as variables; who runs code next is told."""
    await run(pool, identifier, "import os; os._exit(1)")
    assert (await pool.list_files(identifier)).entries == ()
    assert (await run(pool, identifier, "1")).lost_before is not None


async def test_stopping_a_session_while_code_runs_ends_the_run(
    pool: LocalSessionPool, identifier: str
) -> None:
    async with running(pool, identifier, STUBBORN) as ended:
        assert await pool.stop_session(identifier)
    assert ended[0].session_lost == "it was stopped on request"
    assert ended[0].stdout.text == "started\n"
    after = await run(pool, identifier, "1")
    assert (after.started_session, after.lost_before) == (True, None)


async def test_stopping_a_session_does_not_wait_for_a_template_that_is_busy() -> None:
    """It imports for seconds at first, and tells nobody how a session ended until that is done."""
    strangers = descendants()
    async with open_local_pool(configuration()) as pool:
        await pool.metadata()
        template = descendants(without=strangers)
        await run(pool, "first", "x = 1")
        for process in template:
            os.kill(process, signal.SIGSTOP)
        try:
            with anyio.move_on_after(8) as scope:  # it would be waited for for ten
                assert await pool.stop_session("first")
            assert not scope.cancel_called
            assert descendants(without=strangers) == template
        finally:
            for process in template:
                os.kill(process, signal.SIGCONT)
        assert result_of(await run(pool, "first", "'x' in dir()")) == "False"


# Many


async def test_twenty_sessions_run_at_once_each_for_itself(pool: LocalSessionPool) -> None:
    found: dict[int, str] = {}

    async def use(number: int) -> None:
        identifier = new_identifier()
        await run(pool, identifier, f"x = {number}")
        found[number] = result_of(await run(pool, identifier, "x * 2"))
        await pool.stop_session(identifier)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(use, number)
    assert found == {number: str(2 * number) for number in range(20)}


async def test_who_asks_at_the_same_time_gets_the_same_new_session(
    pool: LocalSessionPool, identifier: str
) -> None:
    ended: list[Execution] = []

    async def execute(number: int) -> None:
        ended.append(
            await run(pool, identifier, f"found = {{*globals().get('found', ()), {number}}}")
        )

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(execute, number)
    assert sorted(execution.started_session for execution in ended) == [False] * 3 + [True]
    assert result_of(await run(pool, identifier, "found")) == "{0, 1, 2, 3}"


async def test_a_full_pool_says_so_and_what_to_do() -> None:
    async with open_local_pool(configuration(max_concurrent_sessions=2)) as pool:
        await run(pool, "first", "1")
        await run(pool, "second", "1")
        with pytest.raises(PoolFullError) as refused:
            await run(pool, "third", "1")
        assert refused.value.message == (
            "All 2 sessions of the local pool are in use. Nothing was executed. End a session "
            "that is not needed, or raise ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS."
        )
        assert result_of(await run(pool, "second", "1")) == "1"
        await pool.stop_session("first")
        assert result_of(await run(pool, "third", "1")) == "1"


@pytest.mark.parametrize(("is_code", "counted"), [(True, 3), (False, 2)])
def test_what_was_not_run_after_going_back_counts_where_it_was_code(
    is_code: bool, counted: int
) -> None:
    went = Rollback("it was killed", 2, "x = 1")
    told = not_run(went, RequestOutput(b"", 0, None), is_code=is_code).rollback
    assert told is not None
    assert (told.executions, told.begins) == (counted, "x = 1")
