"""Running code in sessions of a local pool: state, output, time, and ends of every kind."""

from __future__ import annotations

import base64
import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import InvalidRequestError, PoolFullError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import ExecutionStatus, OutputChunk
from tests.local.pools import (
    MEBIBYTE,
    configuration,
    content,
    descendants,
    new_identifier,
    result_of,
    run,
    until,
)

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import Execution

STUBBORN = """
import itertools, time
for turn in itertools.count():
    try:
        turn or print('started', flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""
SLEEPING = "kept = 1\nprint('started', flush=True)\nimport time\ntime.sleep(60)"


class Started:
    """An ``on_output`` that tells when the code has printed something."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    def __call__(self, chunk: OutputChunk) -> None:
        self.event.set()


# State and output


async def test_state_is_kept_and_sessions_share_none(
    pool: LocalSessionPool, identifier: str
) -> None:
    first = await run(pool, identifier, "x = 20")
    assert (first.status, first.started_session) == (ExecutionStatus.SUCCEEDED, True)
    second = await run(pool, identifier, "x + 1")
    assert (result_of(second), second.started_session) == ("21", False)
    assert second.execution_id != first.execution_id
    other = new_identifier()
    stranger = await run(pool, other, "x")
    assert stranger.error is not None
    assert stranger.error.name == "NameError"
    await pool.stop_session(other)


async def test_the_streams_are_told_apart(pool: LocalSessionPool, identifier: str) -> None:
    execution = await run(
        pool, identifier, "import sys\nprint('é')\nprint('two', file=sys.stderr)\n!echo three"
    )
    assert execution.stdout.text == "é\nthree\n"
    assert execution.stdout.total_bytes == 9
    assert execution.stderr.text == "two\n"


async def test_output_appears_while_the_code_runs_and_files_move_meanwhile(
    pool: LocalSessionPool, identifier: str
) -> None:
    """The code waits for a file that is uploaded once its output was seen."""
    started = Started()
    ended: list[Execution] = []

    async def execute() -> None:
        code = "import os, time\nprint('ready', flush=True)\nwhile not os.path.exists('go'): pass"
        ended.append(await run(pool, identifier, code, on_output=started))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execute)
        with anyio.fail_after(20):
            await started.event.wait()
        session = await pool.get_session(identifier)
        assert session is not None
        assert session.running
        assert session.expires_at is None
        await pool.upload_file(identifier, "go", content())
    assert ended[0].status is ExecutionStatus.SUCCEEDED


async def test_output_comes_in_order_and_characters_come_whole(
    pool: LocalSessionPool, identifier: str
) -> None:
    seen: list[OutputChunk] = []
    code = (
        "import os, sys, time\n"
        "for byte in 'aé☃'.encode():\n"
        "    os.write(1, bytes([byte])); time.sleep(0.01)\n"
        "print('end', file=sys.stderr)\n"
        "os.write(1, b'\\xe2\\x98')"
    )
    execution = await run(pool, identifier, f"{code};", on_output=seen.append)
    out = [chunk.text for chunk in seen if chunk.stream == "stdout"]
    assert "".join(out) == "aé☃\N{REPLACEMENT CHARACTER}"
    assert [chunk.text for chunk in seen if chunk.stream == "stderr"] == ["end\n"]
    assert execution.stdout.text == "".join(out)


async def test_of_a_flood_the_beginning_and_the_end_are_kept(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = "print('begin')\nfor _ in range(100): print('x' * 9999)\nprint('end')"
    execution = await run(pool, identifier, code)
    assert execution.stdout.total_bytes == 6 + 100 * 10_000 + 4
    assert execution.stdout.omitted_bytes == execution.stdout.total_bytes - 64 * 1024
    assert execution.stdout.head.startswith("begin\nxxx")
    assert execution.stdout.tail.endswith("xxx\nend\n")


async def test_output_of_one_run_is_not_in_the_next(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "print('first', end='')")
    assert (await run(pool, identifier, "print('second')")).stdout.text == "second\n"


async def test_what_was_printed_before_an_exception_is_kept(
    pool: LocalSessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, "print('before')\n1/0")
    assert execution.status is ExecutionStatus.FAILED
    assert execution.stdout.text == "before\n"
    assert execution.error is not None
    assert execution.error.name == "ZeroDivisionError"
    assert execution.session_lost is None


@pytest.mark.parametrize("code", ["print('\ud800')", "# \ud800", "\x00", "'" * 1001, "\\"])
async def test_code_that_is_hardly_text_is_an_error_of_the_code(
    pool: LocalSessionPool, identifier: str, code: str
) -> None:
    execution = await run(pool, identifier, code)
    assert execution.session_lost is None
    assert result_of(await run(pool, identifier, "1")) == "1"


async def test_code_too_large_to_be_sent_is_refused_and_changes_nothing(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "x = 1")
    with pytest.raises(InvalidRequestError, match="The code is too long to be sent"):
        await run(pool, identifier, "#" * (17 * MEBIBYTE))
    assert result_of(await run(pool, identifier, "x")) == "1"


async def test_large_code_is_sent_while_the_session_works_on_it(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert result_of(await run(pool, identifier, f"#{'x' * 4 * MEBIBYTE}\n2")) == "2"


async def test_figures_and_tables_are_shown_whatever_was_imported_by_then() -> None:
    """Who comes early is not kept waiting for imports. A module that is missing is no obstacle."""
    ahead = configuration(preimport=("no_such_module", "pandas", "matplotlib.pyplot"))
    async with open_local_pool(ahead) as pool:
        code = (
            "import matplotlib.pyplot as plt, pandas as pd\n"
            "table = pd.DataFrame({'a': [1]})\n"
            "table.plot(); plt.figure().add_subplot()\n"
            "table"
        )
        execution = await run(pool, "early", code)
        assert result_of(execution) == "   a\n0  1"
        images = [output.data["image/png"] for output in execution.outputs[1:]]
        assert len(images) == 2
        for image in images:
            assert isinstance(image, bytes)
            assert image.startswith(b"\x89PNG")
        with anyio.fail_after(30):
            ready = "False"
            while ready == "False":
                await pool.stop_session("later")
                code = "import sys; 'matplotlib.pyplot' in sys.modules"
                ready = result_of(await run(pool, "later", code))


async def test_a_session_without_its_streams_goes_on(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = "import os; print('before', flush=True); os.close(1); os.close(2)"
    assert (await run(pool, identifier, code)).stdout.text == "before\n"
    execution = await run(pool, identifier, "print('nowhere'); 1")
    assert execution.session_lost is None
    assert execution.stdout.text == ""


async def test_large_results_come_in_pieces(pool: LocalSessionPool, identifier: str) -> None:
    text = result_of(await run(pool, identifier, "'x' * 1_000_000"))
    assert len(text) == 1_000_002


# Time


async def test_code_past_its_time_is_interrupted_and_state_kept(
    pool: LocalSessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, SLEEPING, timeout=0.5)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert execution.stdout.text == "started\n"
    assert execution.session_lost is None
    assert execution.error is not None
    assert "time.sleep(60)" in execution.error.traceback
    assert 0.3 <= execution.duration_seconds < 5
    assert result_of(await run(pool, identifier, "kept")) == "1"


async def test_a_shell_command_past_its_time_is_interrupted_too(
    pool: LocalSessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, "kept = 1\n!sleep 60\n!sleep 60", timeout=0.5)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert result_of(await run(pool, identifier, "kept")) == "1"


async def test_code_that_will_not_stop_is_killed_and_the_loss_told_twice() -> None:
    async with open_local_pool(configuration(interrupt_grace_seconds=0.3)) as pool:
        execution = await run(pool, "stubborn", STUBBORN, timeout=0.3)
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert execution.stdout.text == "started\n"
        why = "the code would not stop when it was interrupted"
        assert execution.session_lost == why
        assert await pool.get_session("stubborn") is None
        after = await run(pool, "stubborn", "1")
        assert (after.started_session, after.lost_before) == (True, why)
        assert (await run(pool, "stubborn", "1")).lost_before is None


async def test_time_spent_waiting_for_earlier_code_counts(
    pool: LocalSessionPool, identifier: str
) -> None:
    started = Started()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run(pool, identifier, SLEEPING, on_output=started))
        with anyio.fail_after(20):
            await started.event.wait()
        second = await run(pool, identifier, "kept = 2", timeout=0.3)
        assert second.status is ExecutionStatus.TIMED_OUT
        assert second.error is not None
        assert "was not started" in second.error.message
        assert await pool.interrupt(identifier)
    assert result_of(await run(pool, identifier, "kept")) == "1"


async def test_runs_of_one_session_come_one_after_the_other(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "order = []")
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            code = f"order.append({number}); import time; time.sleep(0.02); order.append({number})"
            tasks.start_soon(run, pool, identifier, code)
    assert result_of(await run(pool, identifier, "order[::2] == order[1::2]")) == "True"


@pytest.mark.parametrize("seconds", [0, -1, 60.5, float("nan"), float("inf")])
async def test_a_timeout_out_of_range_is_refused_before_anything_starts(
    pool: LocalSessionPool, identifier: str, seconds: float
) -> None:
    with pytest.raises(InvalidRequestError, match="more than 0 and at most 60 seconds"):
        await pool.execute(identifier, "1", timeout_seconds=seconds)
    assert await pool.get_session(identifier) is None


@pytest.mark.parametrize("identifier", ["abc", "a" * 129, "a/b/c", "../..", "a b c"])
async def test_an_identifier_that_azure_would_refuse_is_refused(
    pool: LocalSessionPool, identifier: str
) -> None:
    with pytest.raises(InvalidRequestError, match="A session identifier has 4 to 128"):
        await pool.execute(identifier, "1", timeout_seconds=1)


# Interrupting and cancelling


async def test_interrupted_code_is_canceled_and_state_kept(
    pool: LocalSessionPool, identifier: str
) -> None:
    started = Started()
    ended: list[Execution] = []

    async def execute() -> None:
        ended.append(await run(pool, identifier, SLEEPING, on_output=started))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execute)
        with anyio.fail_after(20):
            await started.event.wait()
        assert await pool.interrupt(identifier)
    assert ended[0].status is ExecutionStatus.CANCELED
    assert ended[0].error is not None
    assert ended[0].error.name == "KeyboardInterrupt"
    assert result_of(await run(pool, identifier, "kept")) == "1"


async def test_where_nothing_runs_there_is_nothing_to_interrupt(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert not await pool.interrupt(identifier)
    await run(pool, identifier, "1")
    assert not await pool.interrupt(identifier)


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
        before = descendants()
        await run(pool, "victim", "x = 1")
        (session,) = descendants() - before
        os.kill(session, signal.SIGKILL)
        await until(lambda: session not in descendants())
        after = await run(pool, "victim", "1")
        assert after.started_session
        assert after.lost_before == "it was killed, as the system does when memory runs out"
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
    started = Started()
    ended: list[Execution] = []

    async def execute() -> None:
        ended.append(await run(pool, identifier, STUBBORN, on_output=started))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execute)
        with anyio.fail_after(20):
            await started.event.wait()
            assert await pool.stop_session(identifier)
    assert ended[0].session_lost == "it was stopped on request"
    assert ended[0].stdout.text == "started\n"
    after = await run(pool, identifier, "1")
    assert (after.started_session, after.lost_before) == (True, None)


async def test_a_stopped_session_is_gone_and_nobody_is_told_of_a_loss(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert not await pool.stop_session(identifier)
    await run(pool, identifier, "x = 1")
    assert await pool.stop_session(identifier)
    assert await pool.get_session(identifier) is None
    assert not await pool.stop_session(identifier)
    after = await run(pool, identifier, "'x' in dir()")
    assert (result_of(after), after.lost_before) == ("False", None)


async def test_memory_of_all_processes_together_is_limited() -> None:
    async with open_local_pool(configuration(memory_bytes=200 * MEBIBYTE)) as small:
        code = (
            "import os, time\n"
            "for _ in range(4):\n"
            "    if os.fork() == 0:\n"
            "        held = bytearray(os.urandom(1) * (80 << 20)); time.sleep(60)\n"
            "print('forked', flush=True)\n"
            "time.sleep(60)"
        )
        execution = await run(small, "greedy", code)
        assert execution.session_lost == "it used more than 200 MiB of memory"
        assert execution.stdout.text == "forked\n"
        one = await run(small, "greedy", "bytearray(300 << 20)")
        assert one.error is not None
        assert one.error.name == "MemoryError"
        assert one.session_lost is None


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


async def test_sessions_differ_in_what_they_call_random(pool: LocalSessionPool) -> None:
    code = "import random, os; (random.random(), os.urandom(4), __import__('uuid').uuid4())"
    found: set[str] = set()
    for _ in range(2):
        identifier = new_identifier()
        found.add(result_of(await run(pool, identifier, code)))
        await pool.stop_session(identifier)
    assert len(found) == 2


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


async def test_an_image_is_an_attachment_of_the_value(
    pool: LocalSessionPool, identifier: str
) -> None:
    png = base64.b64encode(b"\x89PNG").decode()
    execution = await run(pool, identifier, f"display({{'image/png': {png!r}}}, raw=True)")
    assert execution.outputs[0].data == {"image/png": b"\x89PNG"}
