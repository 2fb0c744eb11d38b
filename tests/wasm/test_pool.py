"""What only the pool in WebAssembly does: coming back from a stop, and limits of its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import NotSupportedError, PoolUnavailableError, StorageFullError
from aca_mcp.pool import ExecutionStatus
from aca_mcp.wasm.pool import open_wasm_pool
from tests.local.pools import MEBIBYTE, new_identifier, result_of, run, running
from tests.support.processes import descendants
from tests.support.streams import content
from tests.wasm.pools import wasm_configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aca_mcp.wasm.pool import WasmSessionPool

IN_C = (
    "import numpy as np\na = np.random.rand(4000, 4000)\nprint('on', flush=True)\na @ a @ a @ a @ a"
)
STUBBORN = """
import time
print('on', flush=True)
while True:
    try:
        while True: time.sleep(0.01)
    except BaseException: pass
"""


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[WasmSessionPool]:
    configuration = wasm_configuration(
        interrupt_grace_seconds=1, disk_bytes=16 * MEBIBYTE, memory_bytes=512 * MEBIBYTE
    )
    async with open_wasm_pool(configuration) as opened:
        yield opened


async def come_to_rest() -> None:
    """Let the session keep a copy of its state, for which nothing waits."""
    await anyio.sleep(0.5)


@pytest.mark.parametrize("code", [IN_C, STUBBORN], ids=["in-c", "stubborn"])
async def test_code_that_does_not_heed_an_interrupt_costs_itself_alone(
    pool: WasmSessionPool, identifier: str, code: str
) -> None:
    await run(pool, identifier, "x = [1, 2]; open('kept.txt', 'w').write('kept');")
    await come_to_rest()
    stopped = await run(pool, identifier, f"x.append(3)\n{code}", timeout=1)
    assert stopped.status is ExecutionStatus.TIMED_OUT
    assert stopped.session_lost is None
    assert stopped.rollback is not None
    assert stopped.rollback.executions == 1
    assert result_of(await run(pool, identifier, "x, open('kept.txt').read()")) == (
        "([1, 2], 'kept')"
    )


async def test_figures_can_be_drawn_after_coming_back(
    pool: WasmSessionPool, identifier: str
) -> None:
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('title');"
    assert "image/png" in (await run(pool, identifier, plot)).outputs[0].data
    await come_to_rest()
    assert (await run(pool, identifier, STUBBORN, timeout=1)).session_lost is None
    again = await run(pool, identifier, plot)
    assert again.error is None
    assert "image/png" in again.outputs[0].data


async def test_a_crash_of_the_interpreter_costs_one_execution(
    pool: WasmSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "x = 1")
    await come_to_rest()
    deep = "import sys\nsys.setrecursionlimit(10**6)\nclass A:\n    def __getattr__(self, name): "
    crashed = await run(pool, identifier, f"{deep}return getattr(self, name)\nA().b")
    assert crashed.status is ExecutionStatus.FAILED
    assert crashed.session_lost is None
    assert result_of(await run(pool, identifier, "x")) == "1"


EXCLUDED = {
    "threads": (
        "threading.Thread(target=print).start()",
        "threading.Timer(1, print).start()",
        "concurrent.futures.ThreadPoolExecutor().submit(print)",
    ),
    "processes": (
        "multiprocessing.dummy.Pool(2)",
        "get_ipython().system('ls')",
        "os.system('ls')",
        "os.popen('ls')",
        "subprocess.run(['ls'])",
        "subprocess.check_output('ls', shell=True)",
        "multiprocessing.Process(target=print).start()",
        "multiprocessing.Pool(2)",
        "multiprocessing.get_context('spawn').Queue()",
        "concurrent.futures.ProcessPoolExecutor(2)",
    ),
    "network": (
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 1))",
        "urllib.request.urlopen('https://example.com')",
        "urllib.request.urlopen('http://example.com')",
        "pandas.read_csv('https://example.com/x.csv')",
        "http.client.HTTPConnection('example.com').request('GET', '/')",
    ),
}


@pytest.mark.parametrize("what", EXCLUDED)
async def test_what_is_not_there_is_said_in_a_sentence_however_code_asks(
    pool: WasmSessionPool, identifier: str, what: str
) -> None:
    modules = "threading, multiprocessing.dummy, concurrent.futures, os, subprocess, socket, pandas"
    await run(pool, identifier, f"import {modules}, urllib.request, http.client")
    for code in EXCLUDED[what]:
        asked = await run(pool, identifier, code)
        assert asked.error is not None, code
        assert f"WebAssembly, which has no {what}" in asked.error.message, code


@pytest.mark.parametrize("code", ["bytearray(2**31 - 1)", "numpy.ones(10**11)"])
async def test_memory_that_is_not_there_names_the_limit_and_the_setting(
    pool: WasmSessionPool, identifier: str, code: str
) -> None:
    error = (await run(pool, identifier, f"import numpy\n{code}")).error
    assert error is not None
    assert "at most 512 MiB of memory (ACA_MCP_LOCAL_MEMORY_MIB" in error.hint


async def test_variables_go_back_where_that_is_asked_for(
    pool: WasmSessionPool, identifier: str
) -> None:
    with pytest.raises(NotSupportedError, match="nothing has run in it"):
        await pool.undo(identifier)
    for code in ("x = 1\nfile = open('kept.txt', 'w')", "x = 2; file.write('kept'); file.flush()"):
        await run(pool, identifier, code)
        await come_to_rest()
    undone = await pool.undo(identifier)
    assert (undone.executions, undone.begins) == (1, "x = 2; file.write('kept'); file.flush()")
    with pytest.raises(NotSupportedError, match="not there any more"):
        await pool.undo(identifier)
    after = await run(pool, identifier, "x, file.closed, open('kept.txt').read()")
    assert result_of(after) == "(1, True, 'kept')"
    assert (await pool.metadata()).checkpoints == 1


async def test_the_first_code_of_a_session_can_cost_no_files(
    pool: WasmSessionPool, identifier: str
) -> None:
    await pool.upload_file(identifier, "mine.txt", content(b"mine"))
    ended = await run(pool, identifier, "import os, random; x = 1; os._exit(3)")
    assert ended.rollback is not None
    after = await run(pool, identifier, "'x' in globals(), open('mine.txt').read()")
    assert result_of(after) == "(False, 'mine')"


async def test_where_there_is_no_checkpoint_the_loss_says_why(identifier: str) -> None:
    async with open_wasm_pool(wasm_configuration(checkpoints=0)) as pool:
        await run(pool, identifier, "x = 1")
        await come_to_rest()
        lost = await run(pool, identifier, "import os; os._exit(3)")
        assert lost.session_lost is not None
        assert "exit code 3" in lost.session_lost
        assert "turned off (ACA_MCP_LOCAL_CHECKPOINTS)" in lost.session_lost
        assert (await run(pool, identifier, "1")).lost_before == lost.session_lost


async def test_memory_past_the_limit_is_a_memory_error(
    pool: WasmSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "x = 1")
    full = await run(pool, identifier, "keep = []\nwhile True: keep.append(bytearray(2**24))")
    assert full.error is not None
    assert full.error.name == "MemoryError"
    assert result_of(await run(pool, identifier, "del keep\nx")) == "1"


async def test_files_past_the_limit_end_the_session_and_name_the_limit(
    pool: WasmSessionPool, identifier: str
) -> None:
    code = "n = 0\nwhile True:\n    open(f'{n}.bin', 'wb').write(bytes(2**20)); n += 1"
    full = await run(pool, identifier, code)
    if full.session_lost is None:  # the system refused a file before anybody looked
        assert full.error is not None
        assert full.error.name == "OSError"
    else:
        assert "16 MiB of disk (ACA_MCP_LOCAL_DISK_MIB)" in full.session_lost


async def test_files_of_many_quick_executions_end_the_session_as_those_of_a_long_one(
    pool: WasmSessionPool, identifier: str
) -> None:
    ends: list[str | None] = []
    while len(ends) < 5 and not any(ends):
        code = f"open('{len(ends)}.bin', 'wb').write(bytes(12 * 2**20))"
        ends.append((await run(pool, identifier, code)).session_lost)
    assert ends[0] is None
    assert "16 MiB of disk (ACA_MCP_LOCAL_DISK_MIB)" in str(ends[-1])
    assert (await run(pool, identifier, "1")).lost_before == ends[-1]


async def test_a_file_past_the_limit_names_the_limit(
    pool: WasmSessionPool, identifier: str
) -> None:
    full = await run(pool, identifier, "open('big.bin', 'wb').truncate(17 * 2**20)")
    assert full.error is not None
    assert "16 MiB together (ACA_MCP_LOCAL_DISK_MIB)" in full.error.hint


async def test_what_files_take_is_known_whoever_wrote_or_deleted_them(
    pool: WasmSessionPool, identifier: str
) -> None:
    async def upload(name: str, mebibytes: int) -> None:
        pieces = [bytes(MEBIBYTE)] * mebibytes
        await pool.upload_file(identifier, name, content(*pieces), overwrite=True)

    await upload("a.bin", 8)
    with pytest.raises(StorageFullError):
        await upload("b.bin", 9)
    await run(pool, identifier, "open('c.bin', 'wb').write(bytes(6 * 2**20))")
    with pytest.raises(StorageFullError):
        await upload("b.bin", 3)
    await pool.delete_file(identifier, "a.bin")
    await upload("b.bin", 7)
    await run(pool, identifier, "import os; os.remove('c.bin')")
    await upload("d.bin", 7)
    refused: list[StorageFullError] = []
    async with anyio.create_task_group() as uploads:  # both at once do not fit

        async def one_of_two(name: str) -> None:
            try:
                await upload(name, 1)
            except StorageFullError as error:
                refused.append(error)

        uploads.start_soon(one_of_two, "e.bin")
        uploads.start_soon(one_of_two, "f.bin")
    assert len(refused) == 1


async def test_code_that_makes_room_is_not_ended_for_what_was_there(
    pool: WasmSessionPool, identifier: str
) -> None:
    fill = "for n in range(3): open(f'{n}.bin', 'wb').write(bytes(7 * 2**20))\nkept = 7"
    full = await run(pool, identifier, fill)  # in less time than is between two looks
    if full.session_lost is None:
        clear = "import os, time\ntime.sleep(1)\nfor n in range(3): os.remove(f'{n}.bin')\nkept"
        assert result_of(await run(pool, identifier, clear)) == "7"
        assert (await pool.list_files(identifier)).entries == ()


async def test_an_upload_past_the_limit_is_refused_and_leaves_nothing(
    pool: WasmSessionPool, identifier: str
) -> None:
    with pytest.raises(StorageFullError):
        await pool.upload_file(identifier, "a.bin", content(*[bytes(MEBIBYTE)] * 20))
    assert (await pool.list_files(identifier)).entries == ()


async def test_files_are_moved_while_code_runs(pool: WasmSessionPool, identifier: str) -> None:
    code = (
        "import os, time\nprint('on', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
    )
    async with running(pool, identifier, code):
        await pool.upload_file(identifier, "go", content(b""))


async def test_asyncio_works_as_far_as_timers_go(pool: WasmSessionPool, identifier: str) -> None:
    code = """
import asyncio
async def job(n):
    await asyncio.sleep(0.02 * n)
    return n
task = asyncio.create_task(job(3))
queue = asyncio.Queue()
await queue.put("queued")
got = await asyncio.gather(job(2), job(1)), await task, await queue.get()
got += (await asyncio.wait_for(asyncio.to_thread(int), 1) if False else asyncio.run is not None,)
got
"""
    assert result_of(await run(pool, identifier, code)) == "([2, 1], 3, 'queued', True)"
    endless = await run(pool, identifier, "await asyncio.Event().wait()")
    assert endless.error is not None
    assert "can never happen" in endless.error.message


async def test_modules_of_the_work_directory_are_found_and_shadow_nothing(
    pool: WasmSessionPool, identifier: str
) -> None:
    write = "%%writefile {}.py\ndef answer(): return 42\n"
    for name in ("helpers", "random"):
        await run(pool, identifier, write.format(name))
    code = "import helpers, random\nhelpers.answer(), hasattr(random, 'answer')"
    assert result_of(await run(pool, identifier, code)) == "(42, False)"


async def test_a_process_that_is_killed_is_replaced() -> None:
    identifier = new_identifier()
    strangers = descendants()
    async with open_wasm_pool(wasm_configuration(ready_sessions=0)) as pool:
        await run(pool, identifier, "x = 1")
        for process in descendants(without=strangers):
            os.kill(process, signal.SIGKILL)
        after = await run(pool, identifier, "'x' in globals()")
        while after.session_lost is not None:  # its end was seen only now
            after = await run(pool, identifier, "'x' in globals()")
        assert result_of(after) == "False"


async def test_a_cache_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)  # noqa: ASYNC240 -- at once
    async with open_wasm_pool(wasm_configuration(cache_directory=tmp_path)) as pool:
        with pytest.raises(PoolUnavailableError, match="others could write to it"):
            await pool.execute(new_identifier(), "1", timeout_seconds=5)
        assert (await pool.metadata()).runtime.startswith("Python 3.")
