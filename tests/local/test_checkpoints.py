"""What a crash costs where a session keeps checkpoints, what an undo brings back, and what neither
can: real sessions, really killed.
"""

from __future__ import annotations

import anyio
import pytest

from aca_mcp.errors import NotSupportedError
from aca_mcp.pool import ExecutionStatus
from tests.local.one_session import Used, session
from tests.local.pools import STUBBORN, pool_with_checkpoints
from tests.support.processes import descendants
from tests.support.waiting import until

CONNECTION = """
import socket
s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect('s')
"""
ALL_FILES = """
kept = []
try:
    while True: kept.append(open('/dev/null'))
except OSError: pass
"""
CRASHES = {
    "an exit of the process": ("import os; os._exit(3)", "exit code 3"),
    "a closed connection": ("import os; os.close(3)", ""),
    "a forged answer": ("import os; os.write(3, b'x' * 100)", "interfered"),
}


@pytest.mark.parametrize("kind", CRASHES)
async def test_a_crash_costs_one_execution(kind: str) -> None:
    code, why = CRASHES[kind]
    async with session() as used:
        await used.run("x = ['before']; open('file', 'w').write('a')")
        await used.settled()
        crashed = await used.run(f"x.append('lost'); open('file', 'w').write('b')\n{code}")
        if crashed.error is not None:
            return  # the interpreter has noticed, and nothing is lost
        assert crashed.status is ExecutionStatus.FAILED
        assert crashed.session_lost is None
        assert crashed.rollback is not None
        assert crashed.rollback.executions == 1
        assert why in crashed.rollback.reason
        assert await used.value("x, open('file').read()") == "(['before'], 'b')"
        again = await used.run("import os; os._exit(1)")
        assert again.rollback is not None
        assert await used.value("x") == "['before']"


SEVERAL_KILLED = ["os.kill(0, 9)", "os.kill(-1, 9)", "os.system('kill -9 0')"]


@pytest.mark.parametrize("code", SEVERAL_KILLED[::2])
async def test_code_that_ends_all_of_its_group_does_not_end_its_copies(code: str) -> None:
    async with session(isolation="namespaces") as used:
        await used.run("x = 1; import os")
        await used.settled()
        crashed = await used.run(code)
        assert crashed.rollback is not None
        assert crashed.rollback.reason.startswith("it was killed")
        assert crashed.rollback.executions == 1
        assert await used.value("x") == "1"


async def test_without_namespaces_code_ends_itself_but_not_its_session() -> None:
    async with pool_with_checkpoints("landlock") as pool:
        used = Used(pool)
        await used.run("x = 1; import os")
        await used.settled()
        for code in (*SEVERAL_KILLED, "os.kill(os.getppid(), 9)"):
            refused = await used.run(code)
            assert refused.rollback is None
            assert refused.session_lost is None
            assert "not permitted" in f"{refused.error}{refused.stderr.text}"
        await used.settled()
        assert (await used.run("x = 2; os.kill(os.getpid(), 9)")).rollback is not None
        assert await used.value("x") == "1"


async def test_where_the_copies_were_ended_the_session_begins_anew_with_its_files() -> None:
    async with session(isolation="namespaces") as used:
        await used.run("x = 1; open('file', 'w').write('a')")
        await used.settled()
        crashed = await used.run("import os; os.kill(-1, 9); os._exit(5)")
        assert crashed.rollback is not None
        assert "exit code 5" in crashed.rollback.reason
        assert crashed.rollback.executions == 2
        assert await used.value("'x' in globals(), open('file').read()") == "(False, 'a')"


async def test_code_that_will_not_stop_is_undone_at_its_deadline_and_when_it_is_cancelled() -> None:
    async with session(interrupt_grace_seconds=0.3) as used:
        await used.run("x = 1")
        await used.settled()
        late = await used.run(f"x = 2\n{STUBBORN}", seconds=0.5)
        assert late.status is ExecutionStatus.TIMED_OUT
        assert late.rollback is not None
        assert await used.value("x") == "1"
        await used.settled()
        with anyio.move_on_after(0.5):
            await used.run(f"x = 3\n{STUBBORN}")
        assert await used.value("x") == "1"


async def test_programs_of_the_code_that_crashed_end_with_it() -> None:
    strangers = descendants()
    async with session() as used:
        await used.run("x = 1")
        await used.settled()
        before = len(descendants(without=strangers))
        crashed = await used.run(
            "import subprocess, os, time\n"
            "for _ in range(5): subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "os._exit(1)"
        )
        assert crashed.rollback is not None
        await used.settled()
        await until(lambda: len(descendants(without=strangers)) <= before)
        assert await used.value("x") == "1"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
            "threads",
        ),
        ("import subprocess; p = subprocess.Popen(['sleep', '60'])", "programs"),
        ("import subprocess; subprocess.Popen('sleep 60 &', shell=True).wait()", "programs"),
        ("import multiprocessing as m; pool = m.Pool(1)", "threads"),
        ("import multiprocessing as m; d = m.Manager().dict()", "programs"),
        ("import os; ends = os.pipe()", "pipes"),
        ("import fcntl; f = open('lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX)", "lock"),
        (
            "import sqlite3; c = sqlite3.connect('w.db'); c.execute('pragma journal_mode = wal')",
            "lock",
        ),
        (CONNECTION, "connections"),
        (ALL_FILES, "as many files open"),
    ],
)
async def test_where_a_copy_would_not_be_the_session_there_is_none_and_it_is_said(
    code: str, why: str
) -> None:
    async with session() as used:
        assert (await used.run(code)).error is None
        await used.kept(0)
        crashed = await used.run("import os; os._exit(1)")
        assert crashed.rollback is None
        assert crashed.session_lost is not None
        assert why in crashed.session_lost
        # Said once, and all of it: the next execution begins anew.
        assert (await used.run("1")).started_session


async def test_an_undo_goes_back_to_before_the_last_execution() -> None:
    async with session() as used:
        await used.run("x = [1]")
        await used.settled()
        await used.run("x.append(2); open('file', 'w').write('kept')")
        await used.settled()
        assert (await used.pool.undo(used.identifier)).executions == 1
        assert await used.value("x, open('file').read()") == "([1], 'kept')"


async def test_as_many_executions_can_be_undone_as_was_chosen() -> None:
    async with session(checkpoints=3) as used:
        for number in range(5):
            await used.run(f"x = {number}")
            await used.settled()
        for number in (3, 2, 1):
            assert (await used.pool.undo(used.identifier)).begins == f"x = {number + 1}"
            assert await used.value("x") == str(number)
            assert (await used.pool.undo(used.identifier)).begins == "x"  # the look itself
        with pytest.raises(NotSupportedError, match="Nothing was undone"):
            await used.pool.undo(used.identifier)


async def test_nothing_can_be_undone_where_nothing_has_run_or_checkpoints_are_off() -> None:
    async with session() as used:
        with pytest.raises(NotSupportedError, match="nothing has run"):
            await used.pool.undo(used.identifier)
    async with session(checkpoints=0) as used:
        await used.run("x = 1")
        with pytest.raises(NotSupportedError, match="ACA_MCP_LOCAL_CHECKPOINTS"):
            await used.pool.undo(used.identifier)
        crashed = await used.run("import os; os._exit(1)")
        assert crashed.session_lost == "its process ended itself (exit code 1)"


async def test_a_checkpoint_is_no_child_of_the_code_and_does_not_disturb_it() -> None:
    async with session() as used:
        await used.run("import os")
        await used.settled()
        waited = await used.run("os.wait()")
        assert waited.error is not None
        assert waited.error.name == "ChildProcessError"
        assert await used.value("len(os.listdir('/proc/self/task'))") == "1"


async def test_nothing_is_left_of_checkpoints_when_sessions_end() -> None:
    strangers = descendants()
    async with session(checkpoints=2) as used:
        await used.run("import os; x = 1")
        await used.settled()
        await used.run("os._exit(1)")
        await used.run("x = 2")
        await used.settled()
        inside = len(descendants(without=strangers))
        assert await used.pool.stop_session(used.identifier)
        await until(lambda: len(descendants(without=strangers)) < inside - 3)
    await until(lambda: not descendants(without=strangers))
