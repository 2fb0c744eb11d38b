"""What is lost before there is a copy: a session begins anew in the process that ran no code, with
the files, the packages and the identifier that it had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.local.checkpoints import FOR_MEMORY
from aca_mcp.local.pool import LocalSessionPool, open_local_pool
from aca_mcp.pool import ExecutionStatus
from tests.local.pools import (
    STUBBORN,
    configuration,
    copied,
    new_identifier,
    pool_with_checkpoints,
    result_of,
    run,
)
from tests.support.processes import descendants
from tests.support.streams import content
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENDS = {
    "it ends itself": "os._exit(1)",
    "a signal": "import signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "every descriptor is closed": "os.closerange(0, 640)",
    "too much memory": "data = []\nwhile True: data.append(bytearray(b'a') * (16 << 20))",
    "its directory is gone": "os.rename(os.getcwd(), '../moved'); os._exit(1)",
    "programs of it go on": (
        "import subprocess; [subprocess.Popen(['sleep', '60']) for _ in range(3)]; os._exit(1)"
    ),
    "its standard streams lead elsewhere": (
        "void = os.open(os.devnull, os.O_RDWR); os.dup2(void, 1); os.dup2(void, 2); os._exit(1)"
    ),
}


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[LocalSessionPool]:
    async with pool_with_checkpoints(request.param) as opened:
        yield opened


@pytest.mark.parametrize("how", ENDS)
async def test_the_first_execution_costs_no_more_than_itself(
    pool: LocalSessionPool, how: str
) -> None:
    session = new_identifier()
    lost = await run(pool, session, f"import os; x = 1; print('printed', flush=True)\n{ENDS[how]}")
    assert lost.session_lost is None
    assert lost.rollback is not None
    assert lost.rollback.executions == 1
    assert "printed" in lost.stdout.text
    await _is_a_session_without_variables(pool, session)
    await pool.stop_session(session)


async def test_files_stay_as_they_are(pool: LocalSessionPool) -> None:
    session = new_identifier()
    await pool.upload_file(session, "uploaded", content(b"abc"))
    await run(pool, session, "import os; open('written', 'w').write('def'); os._exit(1)")
    assert result_of(await run(pool, session, "open('uploaded').read()")) == "'abc'"
    assert result_of(await run(pool, session, "open('written').read()")) == "'def'"
    listing = await pool.list_files(session)
    assert {entry.path for entry in listing.entries} == {"uploaded", "written"}
    await pool.stop_session(session)


async def test_code_that_will_not_stop_is_undone_and_what_can_be_interrupted_is_not(
    pool: LocalSessionPool,
) -> None:
    session = new_identifier()
    late = await run(pool, session, STUBBORN, timeout=0.5)
    assert late.status is ExecutionStatus.TIMED_OUT
    assert late.rollback is not None
    late = await run(pool, session, "x = 2\nwhile True: pass", timeout=0.5)
    assert late.status is ExecutionStatus.TIMED_OUT
    assert late.rollback is None
    assert result_of(await run(pool, session, "x")) == "2"
    await pool.stop_session(session)


async def test_it_may_begin_anew_again_and_again(pool: LocalSessionPool) -> None:
    session = new_identifier()
    for number in range(4):
        lost = await run(pool, session, "import os; x = 1; os._exit(1)")
        assert lost.rollback is not None
        assert lost.rollback.executions == 1
        assert lost.started_session is (number == 0)
    await _is_a_session_without_variables(pool, session)
    # From there on it is as ever.
    await run(pool, session, "x = 2")
    await copied(pool, session)
    assert (await run(pool, session, "x = 3; os._exit(1)")).rollback is not None
    assert result_of(await run(pool, session, "x")) == "2"
    await pool.stop_session(session)


async def test_what_ran_in_quick_succession_is_undone_together(pool: LocalSessionPool) -> None:
    session = new_identifier()
    for number in range(3):
        await run(pool, session, f"x = {number}")
    lost = await run(pool, session, "import os; os._exit(1)")
    assert lost.rollback is not None
    left = 4 - lost.rollback.executions
    assert (
        lost.rollback.begins
        == (*(f"x = {each}" for each in range(3)), "import os; os._exit(1)")[left]
    )
    expected = str(left - 1) if left else "None"  # a slow machine may have made a copy
    assert result_of(await run(pool, session, "str(globals().get('x'))")) == repr(expected)
    await pool.stop_session(session)


async def test_the_first_execution_can_be_undone(pool: LocalSessionPool) -> None:
    session = new_identifier()
    await run(pool, session, "x = 1; open('file', 'w').write('kept')")
    assert (await pool.undo(session)).executions == 1
    await _is_a_session_without_variables(pool, session)
    await pool.undo(session)
    await run(pool, session, "x = 2")
    await copied(pool, session)
    undone = await pool.undo(session)
    assert undone.executions == 1
    assert result_of(await run(pool, session, "'x' in dir(), open('file').read()")) == (
        "(False, 'kept')"
    )
    await pool.stop_session(session)


async def test_where_memory_was_needed_it_is_lost(pool: LocalSessionPool) -> None:
    session = new_identifier()
    await run(pool, session, "x = 1")
    checkpoints = await copied(pool, session)
    checkpoints.drop_one(FOR_MEMORY)
    lost = await run(pool, session, "import os; os._exit(1)")
    assert lost.rollback is None
    assert lost.session_lost is not None
    assert FOR_MEMORY in lost.session_lost


async def test_a_session_that_was_started_ahead_begins_anew_and_nothing_is_left_of_it() -> None:
    strangers = descendants()
    async with open_local_pool(configuration(checkpoints=1, ready_sessions=1)) as pool:
        await pool.metadata()
        session = new_identifier()
        lost = await run(pool, session, "import os; os._exit(1)")
        assert lost.rollback is not None
        await _is_a_session_without_variables(pool, session)
        with anyio.move_on_after(0.2):
            await run(pool, session, "import time; time.sleep(60)")
        assert result_of(await run(pool, session, "1")) == "1"
    await until(lambda: not descendants(without=strangers), 30)


async def _is_a_session_without_variables(pool: LocalSessionPool, session: str) -> None:
    execution = await run(
        pool,
        session,
        "import os, sys\n"
        "threads = len(os.listdir('/proc/self/task'))\n"
        "print('out'); print('err', file=sys.stderr); os.system('echo program')\n"
        "open('more', 'w').write('x')\n"
        "'x' in dir(), threads, os.path.basename(os.getcwd())",
    )
    assert not execution.started_session
    assert execution.lost_before is None
    assert result_of(execution) == "(False, 1, 'data')"
    assert execution.stdout.text == "out\nprogram\n"
    assert execution.stderr.text == "err\n"
