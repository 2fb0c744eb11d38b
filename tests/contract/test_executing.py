"""Executing: what every pool does, however it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import InvalidRequestError, NotSupportedError
from aca_mcp.pool import ExecutionStatus
from tests.local.pools import new_identifier, running

if TYPE_CHECKING:
    from aca_mcp.pool import Execution, SessionPool

EXCLUDED = {"wasm": {"processes", "threads"}}
"""What code cannot have in the sessions of a pool, by the pool's kind."""


async def run(pool: SessionPool, identifier: str, code: str, seconds: float = 30) -> Execution:
    with anyio.fail_after(50):
        return await pool.execute(identifier, code, timeout_seconds=seconds)


def values(execution: Execution) -> list[str | bytes | None]:
    return [output.data.get("text/plain") for output in execution.outputs]


async def test_variables_are_there_in_the_next_execution(
    pool: SessionPool, identifier: str
) -> None:
    first = await run(pool, identifier, "x = 41\nprint('hé', end='')")
    second = await run(pool, identifier, "x + 1")
    assert first.status is ExecutionStatus.SUCCEEDED
    assert first.stdout.text == "hé"
    assert first.started_session
    assert values(second) == ["42"]
    assert second.outputs[0].data["application/json"] == "42"
    assert second.stdout.text == ""
    assert not second.started_session
    assert second.lost_before is None
    assert second.execution_id != first.execution_id


async def test_the_last_value_is_ipythons(pool: SessionPool, identifier: str) -> None:
    await run(pool, identifier, "'a'")
    assert values(await run(pool, identifier, "_ * 2")) == ["'aa'"]


async def test_sessions_do_not_see_each_other(pool: SessionPool, identifier: str) -> None:
    await run(pool, identifier, "x = 1\nopen('mine.txt', 'w').write('a')")
    other = f"{identifier}-other"
    try:
        seen = await run(pool, other, "import os\n'x' in globals(), os.listdir()")
        assert values(seen) == ["(False, [])"]
    finally:
        await pool.stop_session(other)


async def test_sessions_that_began_with_one_memory_are_not_alike(pool: SessionPool) -> None:
    code = (
        "import os, random, uuid, numpy\n"
        "print(random.random(), numpy.random.rand(), uuid.uuid4(), os.urandom(8).hex())"
    )
    seen: list[str] = []
    for _ in range(3):
        one = new_identifier()
        seen += (await run(pool, one, code)).stdout.text.split()
        await pool.stop_session(one)
    assert len(set(seen)) == 12


async def test_code_starts_in_the_work_directory(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "import os; os.getcwd()")
    assert values(execution) == ["'/mnt/data'"]


async def test_everything_displayed_comes_back_in_order(pool: SessionPool, identifier: str) -> None:
    code = """
import matplotlib.pyplot as plt
display("first")
for number in range(3):
    plt.figure()
    plt.plot([number, 1])
plt.show()
"last"
"""
    execution = await run(pool, identifier, code, 60)
    images = [output.data.get("image/png") for output in execution.outputs]
    figures = [image for image in images if image is not None]
    assert len(figures) == 3
    assert all(isinstance(image, bytes) and image.startswith(b"\x89PNG") for image in figures)
    assert values(execution)[0] == "'first'"
    assert "'last'" in values(execution)


async def test_a_report_longer_than_a_value_comes_back_whole(
    pool: SessionPool, identifier: str
) -> None:
    code = """
import base64, os
from IPython.display import display
for _ in range(2):
    display({"text/plain": base64.b64encode(os.urandom(750_000)).decode()}, raw=True)
"""
    execution = await run(pool, identifier, code)
    assert [len(output.data["text/plain"]) for output in execution.outputs] == [1_000_000] * 2


async def test_an_exception_has_a_trimmed_traceback(pool: SessionPool, identifier: str) -> None:
    code = "def inner():\n    return 1 / 0\nprint('before')\ninner()"
    execution = await run(pool, identifier, code)
    assert execution.status is ExecutionStatus.FAILED
    assert execution.stdout.text == "before\n"
    assert execution.error is not None
    assert execution.error.name == "ZeroDivisionError"
    assert execution.error.message == "division by zero"
    lines = execution.error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in execution.error.traceback
    assert "IPython" not in execution.error.traceback
    assert "aca_mcp" not in execution.error.traceback
    assert "\x1b" not in execution.error.traceback


@pytest.mark.parametrize("code", ["1 +", "def f(:", "  x = 1\n y = 2", "await", "%nonsense"])
async def test_code_that_cannot_run_is_a_failed_execution(
    pool: SessionPool, identifier: str, code: str
) -> None:
    execution = await run(pool, identifier, code)
    if execution.error is None:  # IPython only prints that it has no such magic
        assert "nonsense" in execution.stderr.text
    else:
        assert execution.status is ExecutionStatus.FAILED


async def test_the_interpreter_is_ipython(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "import asyncio\nawait asyncio.sleep(0, 'awaited')")
    assert values(execution) == ["'awaited'"]
    assert values(await run(pool, identifier, "%%capture told\nprint(1)")) == []
    assert values(await run(pool, identifier, "told.stdout")) == ["'1\\n'"]


@pytest.mark.parametrize(
    ("capability", "code", "shown"),
    [
        ("processes", "!echo shown", "shown\n"),
        ("threads", "import threading as t; t.Thread(target=print, args=[1]).start()", "1\n"),
    ],
)
async def test_what_the_pool_excludes_is_said_in_a_sentence(
    pool: SessionPool, identifier: str, capability: str, code: str, shown: str
) -> None:
    execution = await run(pool, identifier, code)
    if capability in EXCLUDED.get((await pool.metadata()).kind, ()):
        assert execution.error is not None
        assert f"WebAssembly, which has no {capability}" in execution.error.message
    else:
        assert execution.error is None
        assert execution.stdout.text.replace("\r", "") == shown


@pytest.mark.parametrize(
    "code", ["'\\ud800'", "'\\x00\\x1b[31m'", "'aca-mcp:'", "'aca-mcp-absent'", "{}", "'?'"]
)
async def test_odd_values_come_back(pool: SessionPool, identifier: str, code: str) -> None:
    execution = await run(pool, identifier, code)
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert len(execution.outputs) == 1


@pytest.mark.parametrize("text", ["'''\"\\\\", "#?", "é\u2028x", "\\N{BULLET}", "{x}%s", "🐍"])
async def test_code_arrives_as_it_was_written(
    pool: SessionPool, identifier: str, text: str
) -> None:
    execution = await run(pool, identifier, f"print(ascii({text!r}))")
    assert execution.stdout.text == f"{text!a}\n"


async def test_nothing_is_displayed_for_none(pool: SessionPool, identifier: str) -> None:
    assert (await run(pool, identifier, "None")).outputs == ()
    assert (await run(pool, identifier, "x = 1;")).outputs == ()
    assert (await run(pool, identifier, "")).outputs == ()


async def test_a_semicolon_silences_the_value_and_nothing_else(
    pool: SessionPool, identifier: str
) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    (figure,) = (await run(pool, identifier, code)).outputs
    assert "image/png" in figure.data
    failed = await run(pool, identifier, "1 / 0;")
    assert failed.error is not None
    assert failed.error.name == "ZeroDivisionError"
    assert (await run(pool, identifier, "40 + 2;")).outputs == ()
    assert values(await run(pool, identifier, "40 + 2")) == ["42"]


async def test_code_may_close_its_streams(pool: SessionPool, identifier: str) -> None:
    shown = await run(pool, identifier, "import sys\nsys.stdout.close()\n6 * 7")
    assert (shown.status, values(shown)) == (ExecutionStatus.SUCCEEDED, ["42"])
    assert shown.stderr.text == ""
    again = await run(pool, identifier, "print('there')\nsys.stderr.close()")
    assert (again.error, again.stdout.text) == (None, "there\n")
    failed = await run(pool, identifier, "sys.stdout.close()\nprint('lost')")
    assert failed.error is not None
    assert failed.error.traceback.splitlines()[2:] == [
        "    print('lost')",  # and no frame of what takes what is printed
        "ValueError: I/O operation on closed file.",
    ]
    assert failed.stderr.text == ""


WRAPPERS = (
    "io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
    "io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')",
    "codecs.getwriter('utf-8')(sys.__stdout__.buffer)",
)
"""What code puts in the place of stdout, in each of its calls anew."""


@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_what_code_puts_around_its_streams_is_heard_in_every_call(
    pool: SessionPool, identifier: str, wrapper: str
) -> None:
    begin = f"import codecs, io, sys\nsys.stdout = {wrapper}\n"
    for n in range(3):
        execution = await run(pool, identifier, f"{begin}print('é→', {n})")
        assert (execution.error, execution.stdout.text) == (None, f"é→ {n}\n")
    assert (await run(pool, identifier, "print('after')")).stdout.text == "after\n"
    await run(pool, identifier, "sys.stdout.detach();")
    assert (await run(pool, identifier, "print('there again')")).stdout.text == "there again\n"


async def test_output_past_the_old_bound_is_whole(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "print('x' * 100_000)")
    assert execution.stdout.text == "x" * 100_000 + "\n"


async def test_output_past_every_bound_is_said_to_be_cut(
    pool: SessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, "print('x' * 3_000_000)")
    assert execution.stdout.cut or execution.stdout.omitted_bytes
    assert len(execution.stdout.text) < 2_000_000


async def test_a_timeout_keeps_the_state(pool: SessionPool, identifier: str) -> None:
    await run(pool, identifier, "x = 1")
    code = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)"
    execution = await run(pool, identifier, code, 1)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert execution.stdout.text == "begun\n"
    assert execution.stderr.text == ""
    assert execution.duration_seconds >= 0.9
    assert execution.error is not None
    assert (
        execution.error.traceback.count("TimeoutError: the code was interrupted after 1 second;")
        == 1
    )
    assert "aca_mcp" not in execution.error.traceback
    assert values(await run(pool, identifier, "x")) == ["1"]


async def test_a_second_execution_waits_and_its_wait_counts(
    pool: SessionPool, identifier: str
) -> None:
    await run(pool, identifier, "import time")
    ended: dict[str, Execution] = {}

    async def execute(name: str, code: str, seconds: float) -> None:
        ended[name] = await run(pool, identifier, code, seconds)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execute, "first", "time.sleep(1.5)", 30)
        await anyio.wait_all_tasks_blocked()
        await execute("impatient", "ran = True", 0.2)
        await execute("patient", "'ran' in globals()", 30)
    assert list(ended) == ["impatient", "first", "patient"]
    impatient, patient = ended["impatient"], ended["patient"]
    assert impatient.status is ExecutionStatus.TIMED_OUT
    assert impatient.error is not None
    assert "not started" in impatient.error.message
    assert values(patient) == ["False"]


@pytest.mark.parametrize("seconds", [0, -1, 1e6, float("nan"), float("inf")])
async def test_a_timeout_out_of_range_is_refused(
    pool: SessionPool, identifier: str, seconds: float
) -> None:
    most = (await pool.metadata()).max_timeout_seconds
    with pytest.raises(InvalidRequestError, match=f"{most:g}"):
        await run(pool, identifier, "1", seconds)
    assert most >= 220
    assert await pool.get_session(identifier) is None


async def test_a_dead_session_is_said_to_be_lost(pool: SessionPool, identifier: str) -> None:
    # No pool has a copy of a session with a thread.
    await run(pool, identifier, "x = 1; import threading, time")
    await run(pool, identifier, "threading.Thread(target=time.sleep, args=(60,)).start()")
    dead = await run(pool, identifier, "import os\nprint('bye', flush=True)\nos._exit(3)")
    assert dead.status is ExecutionStatus.FAILED
    if "threads" in EXCLUDED.get((await pool.metadata()).kind, ()):
        assert dead.rollback is not None  # there is nothing that could not be copied
        return
    after = await run(pool, identifier, "'x' in globals()")
    assert values(after) == ["False"]
    assert after.started_session
    assert dead.session_lost is not None or after.lost_before is not None
    assert "cooldown" not in (after.lost_before or "")  # it was said that the interpreter died
    assert (await run(pool, identifier, "1")).lost_before is None


async def test_an_identifier_that_cannot_be_one_is_refused(pool: SessionPool) -> None:
    for wrong in ("", "abc", "a" * 129, "a b c d", "a/../b"):
        with pytest.raises(InvalidRequestError):
            await run(pool, wrong, "1")


async def test_cancelling_ends_the_code(pool: SessionPool, identifier: str) -> None:
    await run(pool, identifier, "import time")
    with anyio.move_on_after(0.5):
        await pool.execute(identifier, "while True: time.sleep(0.01)", timeout_seconds=60)
    with anyio.fail_after(20):
        after = await pool.execute(identifier, "'time' in globals()", timeout_seconds=15)
    # Where code can be interrupted the state is kept; else its loss is said.
    assert values(after) == ["True"] or after.lost_before is not None


async def test_interrupting_keeps_the_state_or_is_said_not_to_be_possible(
    pool: SessionPool, identifier: str
) -> None:
    if not (await pool.metadata()).can_interrupt:
        with pytest.raises(NotSupportedError):
            await pool.interrupt(identifier)
        return
    assert not await pool.interrupt(identifier)  # there is no session
    await run(pool, identifier, "x = 1")
    assert not await pool.interrupt(identifier)  # nothing runs
    async with running(
        pool, identifier, "x = 2\nprint('begun', flush=True)\nwhile True: pass"
    ) as ended:
        assert await pool.interrupt(identifier)
    assert ended[0].status is ExecutionStatus.CANCELED
    assert ended[0].error is not None
    assert ended[0].error.name == "KeyboardInterrupt"
    assert values(await run(pool, identifier, "x")) == ["2"]
