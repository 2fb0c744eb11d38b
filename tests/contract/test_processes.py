"""Processes, threads and streams that code makes, breaks and leaves, on every way to a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.running import run, shown

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool


async def test_what_worker_processes_print_is_of_the_execution(
    pool: SessionPool, identifier: str
) -> None:
    code = (
        "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "def work(n):\n    print('worked on', n); return n\n"
        "with ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as workers:\n"
        "    found = list(workers.map(work, [1, 2]))\n"
        "with mp.get_context('fork').Pool(2) as workers: found += workers.map(work, [3])\n"
        "process = mp.get_context('fork').Process(target=work, args=(4,))\n"
        "process.start(); process.join()\nprint('found', found)"
    )
    lines = (await shown(pool, identifier, code)).splitlines()
    assert sorted(lines) == ["found [1, 2, 3]", *(f"worked on {n}" for n in (1, 2, 3, 4))]
    assert lines[-1].startswith("found")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
async def test_processes_that_begin_anew_find_what_cells_have_defined(
    pool: SessionPool, identifier: str, method: str
) -> None:
    begin = (
        "import math\nOFFSET = 40\nclass Point:\n    x = 2\n"
        "def work(point): return point.x + math.floor(OFFSET)\n"
        "print('once')"
    )
    assert await shown(pool, identifier, begin) == "once"
    begin = (
        "import multiprocessing as mp\nfrom concurrent.futures import ProcessPoolExecutor\n"
        f"anew = mp.get_context('{method}')\n"
        "def run(f, n):\n    with ProcessPoolExecutor(1, mp_context=anew) as workers:\n"
        "        return list(workers.map(f, [n]))\n"
        "exec('def made(n): return n')"
    )
    await run(pool, identifier, begin)
    code = "with anew.Pool(1) as workers: print(run(work, Point()), workers.map(work, [Point()]))"
    assert await shown(pool, identifier, code) == "[42] [42]"
    broken = await run(pool, identifier, "run(made, 1)")
    assert broken.error is not None
    assert broken.error.name == "BrokenProcessPool"
    assert "%%writefile" in broken.error.hint


@pytest.mark.parametrize("method", ["fork", "spawn"])
async def test_a_pool_refuses_a_function_that_its_workers_would_look_for_in_vain(
    pool: SessionPool, identifier: str, method: str
) -> None:
    begin = f"import multiprocessing as mp\nworkers = mp.get_context('{method}').Pool(1)"
    await run(pool, identifier, begin)
    for call in ("map(work, [1])", "starmap(work, [(1,)])", "apply(partial(work, 1))"):
        code = f"from functools import partial\ndef work(n): return n\nworkers.{call}"
        refused = await run(pool, identifier, code)
        assert refused.error is not None
        assert "Make the pool after it" in refused.error.message
    assert await shown(pool, identifier, "print(workers.map(abs, [-3])); workers.terminate()") == (
        "[3]"
    )


async def test_classes_of_cells_can_be_pickled(pool: SessionPool, identifier: str) -> None:
    code = "import pickle\nclass Point: x = 3\npickle.loads(pickle.dumps(Point())).x"
    assert await shown(pool, identifier, code) == "3"


async def test_a_fork_prints_what_it_displays(pool: SessionPool, identifier: str) -> None:
    code = (
        "import os\nif not (child := os.fork()):\n    display('of the child'); os._exit(0)\n"
        "os.waitpid(child, 0);"
    )
    assert "of the child" in await shown(pool, identifier, code)


async def test_compiled_code_is_heard_and_closed_streams_come_back(
    pool: SessionPool, identifier: str
) -> None:
    native = "import ctypes; ctypes.CDLL(None).puts(b'from C');"
    assert await shown(pool, identifier, native) == "from C"
    await run(pool, identifier, "import os\nfor fd in (0, 1, 2): os.close(fd)")
    assert await shown(pool, identifier, "print('there'); 1 + 1") == "there\n[value]\n2"


async def test_a_thread_of_earlier_code_is_told_apart_from_one_that_is_given_work(
    pool: SessionPool, identifier: str
) -> None:
    begin = (
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "go, went = threading.Event(), threading.Event()\n"
        "def wait():\n    go.wait(30); print('overdue'); went.set()\n"
        "threading.Thread(target=wait).start()\n"
        "workers = ThreadPoolExecutor(1); workers.submit(int).result();"
    )
    await run(pool, identifier, begin)
    assert await shown(pool, identifier, "workers.submit(print, 'mine').result()") == "mine"
    late = await shown(pool, identifier, "go.set(); went.wait(30);")
    assert late == "[from earlier code that still ran]\noverdue"


async def test_a_process_that_reads_finds_the_end_of_its_input(
    pool: SessionPool, identifier: str
) -> None:
    code = "import subprocess; subprocess.run(['cat'], capture_output=True, timeout=30).stdout"
    assert await shown(pool, identifier, code) == "b''"
