"""What executions hold of the server's memory: bounded for a session, a principal, everybody."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import InvalidRequestError, SessionPoolError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import Execution, Output, StreamText
from aca_mcp.server.results.report import told_of_cancelled
from aca_mcp.server.sessions.execution_store import ExecutionStore, SessionExecutions
from aca_mcp.server.sessions.limits import Limits
from aca_mcp.server.sessions.result_sizes import reduced, size_of
from aca_mcp.session import PythonSession
from tests.local.pools import STUBBORN, Started, configuration, result_of
from tests.support.executions import executed
from tests.support.toy_pool import ToyPool

KIB = 1 << 10
DONE = executed()


async def run(executions: SessionExecutions, pool: ToyPool, code: str) -> Execution:
    async with PythonSession(pool) as session:
        return await executions.begin(code).run(session, 20)


async def test_a_session_forgets_the_oldest(toy_pool: ToyPool) -> None:
    executions = ExecutionStore(Limits(session_executions=3)).open("ann")
    for number in range(5):
        await run(executions, toy_pool, f"print({number})")
    assert executions.ids() == ["execution-3", "execution-4", "execution-5"]
    assert executions.forgotten == 2
    assert [record.execution.stdout.text for record in executions.records()] == [
        "2\n",
        "3\n",
        "4\n",
    ]


async def test_a_session_forgets_what_is_too_much_in_bytes(toy_pool: ToyPool) -> None:
    store = ExecutionStore(Limits(session_bytes=100 * KIB))
    executions = store.open("ann")
    for _ in range(10):
        await run(executions, toy_pool, f"print('x' * {30 * KIB})")
    assert store.size_bytes <= 100 * KIB
    outputs = [record.execution.stdout.text for record in executions.records()]
    assert len(outputs) == 10, "the code is kept longer than what came of it"
    assert [len(text) > 30 * KIB for text in outputs[-2:]] == [True] * 2
    assert set(outputs[:6]) == {"[output left out: later executions needed its place]\n"}
    for _ in range(5):
        await run(executions, toy_pool, f"'{'#' * 40 * KIB}' and None")
    assert executions.ids()[-1] == "execution-15"
    assert len(executions.ids()) <= 3


async def test_a_result_that_is_too_large_is_returned_whole_and_kept_within_bounds(
    toy_pool: ToyPool,
) -> None:
    store = ExecutionStore(Limits(session_bytes=100 * KIB))
    executions = store.open("ann")
    code = f"show('image/png', b'x' * {1 << 20}); print('y' * {1 << 20}); show('text/plain', 'z')"
    whole = await run(executions, toy_pool, code)
    assert size_of(whole) > 2 << 20
    (record,) = executions.records()
    assert store.size_bytes <= 100 * KIB
    assert "too large to be kept" in str(record.execution.outputs[0].data["text/plain"])
    assert record.execution.outputs[1] == whole.outputs[1]
    assert "bytes not kept" in record.execution.stdout.text
    assert record.execution.stdout.text.startswith("yyy")


async def test_a_principal_has_one_bound_for_all_sessions(toy_pool: ToyPool) -> None:
    store = ExecutionStore(Limits(principal_bytes=300 * KIB))
    anns = [store.open("ann") for _ in range(8)]
    bobs = store.open("bob")
    await run(bobs, toy_pool, f"print('b' * {30 * KIB})")
    for executions in anns:
        for _ in range(4):
            await run(executions, toy_pool, f"print('a' * {30 * KIB})")
    assert store.size_bytes <= 400 * KIB
    assert anns[0].ids() == []
    assert anns[-1].ids() == [f"execution-{number}" for number in range(1, 5)]
    assert bobs.ids() == ["execution-1"], "another's are another's"


async def test_where_the_server_has_too_much_who_holds_most_forgets(toy_pool: ToyPool) -> None:
    store = ExecutionStore(Limits(principal_bytes=1 << 20, server_bytes=400 * KIB))
    ann, bob = store.open("ann"), store.open("bob")
    await run(bob, toy_pool, f"print('b' * {30 * KIB})")
    for _ in range(20):
        await run(ann, toy_pool, f"print('a' * {30 * KIB})")
    assert store.size_bytes <= 400 * KIB
    assert bob.ids() == ["execution-1"]


async def test_code_that_waits_counts_and_too_much_of_it_is_refused(toy_pool: ToyPool) -> None:
    store = ExecutionStore(Limits(principal_bytes=1 << 20))
    executions = store.open("ann")
    code = "\N{SNOWMAN}" * (200 * KIB)
    executions.begin(code)
    with pytest.raises(InvalidRequestError, match=r"under way takes all .* Nothing was executed"):
        executions.begin(code)
    assert executions.ids() == ["execution-1"]
    assert store.open("bob").begin(code).id == "execution-1"


async def test_a_session_that_ends_or_is_restarted_gives_its_memory_back(toy_pool: ToyPool) -> None:
    store = ExecutionStore()
    executions, others = store.open("ann"), store.open("ann")
    await run(executions, toy_pool, "print('x' * 100_000)")
    executions.clear()
    assert (executions.ids(), store.size_bytes) == ([], 0)
    running = others.begin("1")
    await run(executions, toy_pool, "print('x' * 100_000)")
    store.close(executions)
    store.close(others)
    assert store.size_bytes == 0
    async with PythonSession(toy_pool) as session:
        assert await running.run(session, 20), "its end concerns nobody"
    assert (others.ids(), store.size_bytes) == ([], 0)


async def test_an_execution_that_fails_is_kept_with_its_failure() -> None:
    executions = ExecutionStore().open("")
    execution = executions.begin("1")
    async with PythonSession(ToyPool(max_sessions=0)) as session:
        await execution.run_apart(session, 20)
        with pytest.raises(SessionPoolError):
            await executions.begin("1").run(session, 20)
    assert execution.has_ended
    assert execution.failure is not None
    assert executions.records() == []
    assert len(executions.ids()) == 2


def output(size: int) -> Output:
    return Output("display", {"image/png": b"x" * size, "text/plain": "é" * (size // 9)})


def stream(letter: str, size: int) -> StreamText:
    return StreamText(letter * size, total_bytes=len((letter * size).encode()))


outputs = st.builds(output, st.integers(0, 40_000))
letters = st.sampled_from(["x", "é", "\N{SNOWMAN}", "\N{PILE OF POO}"])
streams = st.builds(stream, letters, st.integers(0, 40_000))


@given(st.lists(outputs, max_size=8).map(tuple), streams, streams, st.integers(4000, 100_000))
def test_what_is_kept_of_a_result_fits(
    shown: tuple[Output, ...], stdout: StreamText, stderr: StreamText, room: int
) -> None:
    execution = DONE._replace(outputs=shown, stdout=stdout, stderr=stderr)
    kept = reduced(execution, room)
    names = 1200 * len(shown) + 6000
    assert size_of(kept) <= room + names, "what says what was left out, and the result itself"
    assert len(kept.outputs) == len(shown)
    if size_of(execution) <= room:
        assert kept is execution


async def test_what_a_call_that_is_cancelled_takes_along_is_known_to_be_undone() -> None:
    quick = configuration(checkpoints=1, interrupt_grace_seconds=0.3)
    async with open_local_pool(quick) as pool, PythonSession(pool) as session:
        executions = ExecutionStore().open("")
        await executions.begin("x = 1").run(session, 20)
        started = Started()

        async def call() -> None:
            with scope:
                await executions.begin(STUBBORN).run(session, 20, started)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                scope = anyio.CancelScope()
                tasks.start_soon(call)
                await started.event.wait()
                scope.cancel()
        after = executions.begin("'x' in globals()")
        is_there = await after.run(session, 20)
        first, *_, last = executions.records()
        # A copy was made in time, or was not.
        assert result_of(is_there) == repr(not first.is_undone)
        assert not last.is_undone
        assert session.cancelling_took_back is not None
        # Nobody has read of it, so the next result says what else is gone; and no other does.
        assert bool(told_of_cancelled(after.earlier_rollback)) == first.is_undone
        again = executions.begin("1")
        await again.run(session, 20)
        assert again.earlier_rollback is None
