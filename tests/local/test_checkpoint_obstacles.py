"""What keeps a session from being copied: gone by itself, it does so no more, though nobody calls;
and what never was the code's does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.pools import copied, new_identifier, pool_with_checkpoints, result_of, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool

GOING = {
    "a thread that ends": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(0.5,)).start()",
    "a task that ends": "import asyncio\ntask = asyncio.create_task(asyncio.sleep(0.5))",
    "a program that nobody waits for": "import subprocess\np = subprocess.Popen(['sleep', '0.5'])",
    "a program that nobody can wait for": "import subprocess\n"
    "subprocess.Popen('sleep 0.5 &', shell=True).wait()",
    "a program whose object is gone": "import subprocess, warnings\n"
    "warnings.simplefilter('ignore')\nsubprocess.Popen(['sleep', '0.5']); 1",
    "a process that nobody joins": "import multiprocessing, time\n"
    "p = multiprocessing.Process(target=time.sleep, args=(0.5,)); p.start()",
    "a program that leaves an open pipe": "import subprocess\n"
    "p = subprocess.Popen(['sleep', '0.5'], stdout=subprocess.PIPE)",
    "a lock that a thread gives back": "import fcntl, threading, time\n"
    "file = open('lock', 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
    "threading.Timer(0.5, file.close).start()",
}
USED = {
    "processes that were spawned": "import multiprocessing\n"
    "with multiprocessing.get_context('spawn').Pool(1) as pool: n = pool.map(abs, [-4])\n"
    "del pool",
    "processes of a fork server": "import multiprocessing\n"
    "with multiprocessing.get_context('forkserver').Pool(1) as pool: n = pool.map(abs, [-4])\n"
    "del pool",
    "an executor's processes": "import multiprocessing\n"
    "from concurrent.futures import ProcessPoolExecutor\n"
    "context = multiprocessing.get_context('spawn')\n"
    "with ProcessPoolExecutor(1, mp_context=context) as pool: n = list(pool.map(abs, [-4]))\n"
    "del pool",
    "shared memory": "from multiprocessing.shared_memory import SharedMemory\n"
    "shared = SharedMemory(create=True, size=10); shared.buf[0] = 4; n = [shared.buf[0]]",
}
AGAIN = {
    "shared memory": "shared.buf[0] == 4 and shared.close() is shared.unlink()",
    "an executor's processes": "with ProcessPoolExecutor(1, mp_context=context) as pool:\n"
    "    n = list(pool.map(abs, [-4]))\nn == [4]",
    "processes that were spawned": "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
    "    n = pool.map(abs, [-4])\nn == [4]",
    "processes of a fork server": "with multiprocessing.get_context('forkserver').Pool(1) as p:\n"
    "    n = p.map(abs, [-4])\nn == [4]",
}


@pytest.fixture(scope="module")
async def pool(anyio_backend: str) -> AsyncIterator[LocalSessionPool]:
    del anyio_backend
    async with pool_with_checkpoints("namespaces") as opened:
        yield opened


@pytest.mark.parametrize("what", GOING)
async def test_what_has_gone_by_itself_is_in_the_way_no_more(
    pool: LocalSessionPool, what: str
) -> None:
    session = new_identifier()
    result = await run(pool, session, f"x = 1\n{GOING[what]}")
    assert result.error is None
    await copied(pool, session)
    crashed = await run(pool, session, "x = 2; import os; os._exit(1)")
    assert crashed.rollback is not None
    assert crashed.rollback.executions == 1
    assert result_of(await run(pool, session, "x")) == "1"
    await pool.stop_session(session)


async def test_how_a_program_ended_that_nobody_waited_for_is_known_later(
    pool: LocalSessionPool,
) -> None:
    session = new_identifier()
    await run(pool, session, "import subprocess\np = subprocess.Popen(['sh', '-c', 'exit 3'])")
    await copied(pool, session)
    await run(pool, session, "import os; os._exit(1)")
    assert result_of(await run(pool, session, "p.wait()")) == "3"
    await pool.stop_session(session)


async def test_a_child_that_only_its_number_stands_for_is_left_to_the_code(
    pool: LocalSessionPool,
) -> None:
    session = new_identifier()
    await run(pool, session, "import os\npid = os.fork()\nif pid == 0: os._exit(3)")
    crashed = await run(pool, session, "os.kill(os.getpid(), 9)")
    assert crashed.session_lost is None or "had not waited for them" in crashed.session_lost
    await pool.stop_session(session)
    await run(pool, session, "import os\npid = os.fork()\nif pid == 0: os._exit(3)")
    assert result_of(await run(pool, session, "os.waitpid(pid, 0)[1]")) == "768"
    await pool.stop_session(session)


@pytest.mark.parametrize("what", USED)
async def test_what_multiprocessing_leaves_behind_is_not_in_the_way(
    pool: LocalSessionPool, what: str
) -> None:
    """And works after going back, without a word."""
    session = new_identifier()
    used = await run(pool, session, f"{USED[what]}\nn")
    assert result_of(used) == "[4]"
    await copied(pool, session)
    for _ in range(2):
        crashed = await run(pool, session, "n = 0; import os; os.abort()")
        assert crashed.rollback is not None
        assert result_of(await run(pool, session, "n")) == "[4]"
        await copied(pool, session)
    again = await run(pool, session, AGAIN[what])
    assert result_of(again) == "True"
    last = await run(pool, session, "import gc; gc.collect(); import time; time.sleep(0.3)")
    assert (again.stderr.text, last.stderr.text) == ("", "")
    await pool.stop_session(session)
