"""A local pool apart from single sessions: what it says of itself, packages, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import Package
from tests.local.pools import (
    MEBIBYTE,
    configuration,
    download,
    new_identifier,
    open_descriptors,
    result_of,
    run,
    scratch_directories,
)
from tests.support.processes import descendants
from tests.support.streams import content
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.local.pool import LocalSessionPool


# What a pool says of itself


async def test_a_pool_says_what_its_sessions_are(pool: LocalSessionPool, identifier: str) -> None:
    metadata = await pool.metadata()
    assert metadata.kind == "local"
    assert metadata.max_timeout_seconds == 60
    assert metadata.max_file_bytes == 32 * MEBIBYTE
    assert metadata.network is False
    code = "import sys, os; print(os.getcwd()); 'Python ' + sys.version.split()[0]"
    execution = await run(pool, identifier, code)
    assert result_of(execution) == repr(metadata.runtime)
    if metadata.isolation == "namespaces":
        assert execution.stdout.text == "/mnt/data\n" == f"{metadata.work_directory}\n"
    names = [package.name.lower() for package in metadata.packages]
    assert names == sorted(names)
    assert {"ipython", "numpy", "pandas", "matplotlib"} <= set(names)


async def test_packages_are_those_of_the_session_itself(
    pool: LocalSessionPool, identifier: str
) -> None:
    before = await pool.list_packages(identifier)
    assert before == (await pool.metadata()).packages
    code = (
        "import os; info = os.environ['PIP_TARGET'] + '/thing-1.5.dist-info'; os.makedirs(info)\n"
        "text = 'Metadata-Version: 2.1\\nName: thing\\nVersion: 1.5\\n'\n"
        "open(info + '/METADATA', 'w').write(text)"
    )
    await run(pool, identifier, code)
    after = await pool.list_packages(identifier)
    assert set(after) - set(before) == {Package("thing", "1.5")}


async def test_packages_are_told_while_code_runs(pool: LocalSessionPool, identifier: str) -> None:
    """Whoever asks for them does not wait for the code's end."""
    await run(pool, identifier, "1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, pool, identifier, "import time; time.sleep(50)")

        async def is_running() -> bool:
            session = await pool.get_session(identifier)
            return session is not None and session.running

        while not await is_running():  # noqa: ASYNC110 -- only the pool can be asked
            await anyio.sleep(0.01)
        with anyio.fail_after(10):
            assert await pool.list_packages(identifier) == (await pool.metadata()).packages
        assert await is_running()
        assert await pool.interrupt(identifier)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("5", "its code interfered with the interpreter's own connection"),
        ("__import__('os')._exit(4)", "its process ended itself (exit code 4)"),
    ],
)
async def test_a_session_that_cannot_list_its_packages_is_ended_and_told_of(
    pool: LocalSessionPool, identifier: str, answer: str, why: str
) -> None:
    code = f"import aca_mcp.kernel.serve as s; s.installed_packages = lambda: {answer}"
    await run(pool, identifier, code)
    with pytest.raises(PoolUnavailableError) as refused:
        await pool.list_packages(identifier)
    assert why in refused.value.message
    assert "Its variables and files are lost" in refused.value.message
    assert (await run(pool, identifier, "1")).lost_before == why


async def test_with_a_network_code_reaches_this_machine() -> None:
    async with open_local_pool(configuration(network=True)) as pool:
        assert (await pool.metadata()).network is True
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"
            execution = await run(pool, "network", code)
            assert execution.error is None, execution.error


async def test_a_file_that_is_no_wheel_is_not_installed_and_that_is_said(
    pool: LocalSessionPool, identifier: str
) -> None:
    wheel = "little-1.0-py3-none-any.whl"
    await pool.upload_file(identifier, wheel, content(b""))
    execution = await run(pool, identifier, f"%pip install --quiet ./{wheel}", timeout=50)
    assert execution.stderr.text == f"ERROR: {wheel} is damaged, or no wheel\n"


# The end


async def test_closing_a_pool_leaves_nothing(temporary: Path) -> None:
    async with open_local_pool(configuration()) as pool:  # what is loaded once, loads
        await run(pool, "first", "1")
    strangers, descriptors = descendants(), open_descriptors()
    async with open_local_pool(configuration(ready_sessions=1)) as pool:
        await run(pool, "first", "1")
        await pool.upload_file("first", "a", content(b"1"))
        assert await download(pool, "first", "a") == b"1"
        await run(pool, "second", "import os; os.fork() or __import__('time').sleep(60)")
        await run(pool, "third", "import os; os._exit(1)")
        assert descendants(without=strangers)
    assert descendants(without=strangers) == set()
    assert open_descriptors() == descriptors
    assert scratch_directories(temporary) == []


async def test_closing_a_pool_while_a_session_is_being_started_leaves_nothing() -> None:
    async with open_local_pool(configuration()) as pool:  # what is loaded once, loads
        await run(pool, "first", "1")
    strangers, descriptors = descendants(), open_descriptors()
    for milliseconds in (0, 2, 5, 10):
        async with open_local_pool(configuration(ready_sessions=2)) as pool:
            await pool.metadata()  # from here on sessions are started
            await anyio.sleep(milliseconds / 1000)
        assert descendants(without=strangers) == set()
        assert open_descriptors() == descriptors


async def test_closing_a_pool_ends_code_that_runs_and_children_that_hide() -> None:
    code = (
        "import os, time, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(60)\n"
        "    os._exit(0)\n"
        "print('started', flush=True)\n"
        "while True:\n"
        "    try: time.sleep(60)\n"
        "    except BaseException: pass"
    )
    strangers = descendants()
    started = anyio.Event()
    stubborn = configuration(interrupt_grace_seconds=0.2)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, open_local_pool(stubborn) as pool:
            tasks.start_soon(lambda: run(pool, "hidden", code, on_output=lambda _: started.set()))
            await started.wait()
    assert descendants(without=strangers) == set()


async def test_an_error_of_the_body_is_raised_as_it_is() -> None:
    strangers = descendants()
    with pytest.raises(KeyError, match="the body's own"):
        async with open_local_pool(configuration()):
            raise KeyError("the body's own")
    assert descendants(without=strangers) == set()


async def test_cancelling_the_body_closes_the_pool() -> None:
    strangers = descendants()
    with anyio.move_on_after(0.3) as scope:
        async with open_local_pool(configuration()):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert descendants(without=strangers) == set()


async def test_a_pool_that_nobody_uses_closes_at_once() -> None:
    strangers = descendants()
    before = anyio.current_time()
    async with open_local_pool(configuration(preimport=("pandas",), ready_sessions=2)):
        pass
    assert anyio.current_time() - before < 5
    assert descendants(without=strangers) == set()


async def test_the_session_that_is_ready_first_gives_way_to_one_with_all_imports(
    pool: LocalSessionPool,
) -> None:
    isolation = (await pool.metadata()).isolation  # named, so that nothing is forked to find it out
    strangers = descendants()

    def sessions() -> set[int]:
        outer_and_inner = descendants(without=strangers)
        return {
            pid
            for outer in outer_and_inner
            for inner in descendants(outer)
            for pid in descendants(inner)
        }

    ahead = configuration(
        isolation=isolation, preimport=("pandas", "matplotlib.pyplot"), ready_sessions=1
    )
    async with open_local_pool(ahead) as other:
        await until(lambda: bool(sessions()))
        early = min(sessions())
        await until(lambda: early not in sessions())
        code = "import sys; 'matplotlib.pyplot' in sys.modules"
        assert result_of(await run(other, new_identifier(), code)) == "True"
    assert descendants(without=strangers) == set()
