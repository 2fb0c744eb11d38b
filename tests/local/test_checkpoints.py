"""What a crash costs where a session keeps checkpoints, what an undo brings back, and what neither
can: real sessions, really killed.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import NotSupportedError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import ExecutionStatus
from tests.local.pools import (
    MEBIBYTE,
    STUBBORN,
    configuration,
    copied,
    new_identifier,
    pool_with_checkpoints,
)
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.pool import Execution

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


class Used:
    """One session of a pool."""

    def __init__(self, pool: LocalSessionPool) -> None:
        self.pool = pool
        self.identifier = new_identifier()

    async def run(self, code: str, *, seconds: float = 30) -> Execution:
        return await self.pool.execute(self.identifier, code, timeout_seconds=seconds)

    async def value(self, code: str) -> str:
        execution = await self.run(code)
        assert execution.error is None, execution.error
        assert execution.session_lost is None
        (output,) = execution.outputs
        return str(output.data["text/plain"])

    async def settled(self) -> None:
        """Wait until there is a copy of what the variables are now."""
        await copied(self.pool, self.identifier)

    async def kept(self, number: int) -> None:
        """Wait until so many copies are there."""

        async def look() -> int | None:
            info = await self.pool.get_session(self.identifier)
            return info and info.checkpoints

        with anyio.fail_after(20):
            while await look() != number:  # noqa: ASYNC110 -- there is no event
                await anyio.sleep(0.01)


@asynccontextmanager
async def session(**changes: object) -> AsyncGenerator[Used]:
    async with open_local_pool(configuration(**{"checkpoints": 1, **changes})) as pool:
        yield Used(pool)


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


async def test_what_can_be_interrupted_keeps_its_state() -> None:
    async with session() as used:
        late = await used.run("x = 2\nwhile True: pass", seconds=0.5)
        assert late.rollback is None
        assert await used.value("x") == "2"


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
            await used.pool.undo(used.identifier)
            assert await used.value("x") == str(number)
            await used.pool.undo(used.identifier)  # the look itself
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


async def test_what_code_registered_for_forks_is_run_in_a_copy_that_goes_on_and_in_no_other() -> (
    None
):
    async with session() as used:
        await used.run(
            "import os, random\n"
            "seen = []\n"
            "os.register_at_fork(\n"
            "    before=lambda: seen.append('before'),\n"
            "    after_in_parent=lambda: seen.append('parent'),\n"
            "    after_in_child=lambda: seen.append('child'),\n"
            ")\n"
            "random.seed(7)"
        )
        await used.settled()
        expected = await used.value("random.Random(7).random()")
        await used.settled()
        assert await used.value("seen") == "[]"
        await used.settled()
        await used.run("os._exit(1)")
        assert await used.value("seen, random.random()") == f"(['before', 'child'], {expected})"
        pid = "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)[1], seen"
        assert await used.value(pid) == "(0, ['before', 'child', 'before', 'parent'])"


async def test_what_survives_going_back() -> None:
    """As docs/sessions.md says it."""
    async with session() as used:
        await used.run(
            "import os, random, sqlite3\n"
            "open('lines', 'w').write('a\\nb\\nc\\n')\n"
            "file = open('lines'); first = file.readline()\n"
            "memory = sqlite3.connect(':memory:'); memory.execute('create table t (x)')\n"
            "memory.execute('insert into t values (1)'); memory.commit()\n"
            "disk = sqlite3.connect('base.db'); disk.execute('create table t (x)'); disk.commit()\n"
            "random.seed(7); os.environ['SET'] = 'before'; os.mkdir('there'); os.chdir('there')\n"
            "import gc, signal, sys\n"
            "gc.disable(); os.umask(0o077); sys.path.append('/added'); os.nice(1)\n"
            "signal.signal(signal.SIGUSR1, print); priority = os.nice(0)"
        )
        expected = await used.value("random.Random(7).random()")
        await used.settled()
        await used.run(
            "os.environ['SET'] = 'after'; os.chdir('..'); random.random(); file.readline()\n"
            "memory.execute('insert into t values (2)'); memory.commit()\n"
            "disk.execute('insert into t values (2)'); disk.commit()\n"
            "gc.enable(); os.umask(0); sys.path.pop(); os.nice(1)\n"
            "signal.signal(signal.SIGUSR1, signal.SIG_DFL)\n"
            "os._exit(1)"
        )
        assert await used.value("random.random()") == expected
        assert await used.value("os.environ['SET'], os.path.basename(os.getcwd())") == (
            "('before', 'there')"
        )
        found = "gc.isenabled(), os.umask(0o077), sys.path[-1], os.nice(0) - priority"
        assert await used.value(found) == "(False, 63, '/added', 0)"
        assert await used.value("signal.getsignal(signal.SIGUSR1) is print") == "True"
        # Its own memory is from before; what is in files is as the lost code left it.
        assert await used.value("memory.execute('select count(*) from t').fetchone()") == "(1,)"
        assert await used.value("disk.execute('select count(*) from t').fetchone()") == "(1,)"
        # An open file has one position for all copies. What was read ahead is memory.
        assert await used.value("first + file.readline()") == "'a\\nb\\n'"


async def test_what_the_system_keeps_for_a_process_is_not_as_before() -> None:
    """As docs/sessions.md says it, too."""
    async with session() as used:
        await used.run(
            "import mmap, os, signal, time\n"
            "while time.process_time() < 0.2: pass\n"
            "import numpy\n"
            "shared = mmap.mmap(-1, 10); shared[0] = 1; number = os.getpid()\n"
            "numpy.random.seed(7); generator = numpy.random.default_rng(7)\n"
            "signal.setitimer(signal.ITIMER_REAL, 3600)"
        )
        await used.settled()
        await used.run("shared[0] = 2; numpy.random.random(), generator.random(); os._exit(1)")
        assert await used.value("shared[0], number == os.getpid()") == "(2, False)"
        assert await used.value("time.process_time() < 0.2") == "True"
        assert await used.value("signal.getitimer(signal.ITIMER_REAL)") == "(0.0, 0.0)"
        assert (
            await used.value("numpy.random.random() == numpy.random.RandomState(7).random()")
            == "True"
        )
        assert (
            await used.value("generator.random() == numpy.random.default_rng(7).random()") == "True"
        )


async def test_a_session_that_imports_numpy_itself_can_go_back() -> None:
    """As one of a server's first moment does, before its template has imported that."""
    async with session() as used:
        await used.run("import numpy; a = numpy.ones((500, 500)); b = a @ a")
        await used.settled()
        crashed = await used.run("b = 1; import os; os.abort()")
        assert crashed.rollback is not None
        assert await used.value("b[0, 0]") == "np.float64(500.0)"
        # Nor do allocators of pyarrow, which pandas imports, and of polars begin threads.
        for name in ("JE_ARROW_MALLOC_CONF", "_RJEM_MALLOC_CONF"):
            assert (
                await used.value(f"__import__('os').environ[{name!r}]")
                == "'background_thread:false'"
            )


async def test_a_crash_soon_after_other_calls_says_how_far_it_goes_back() -> None:
    async with session() as used:
        await used.run("x = []")
        await used.settled()
        for number in range(5):
            await used.run(f"x.append({number})")
        crashed = await used.run("import os; os._exit(1)")
        assert crashed.rollback is not None
        before_it = crashed.rollback.executions - 1
        assert await used.value("len(x)") == str(5 - before_it)


async def test_code_that_takes_too_much_memory_is_undone() -> None:
    async with session(memory_bytes=256 * MEBIBYTE) as used:
        await used.run("x = 'before'")
        await used.settled()
        crashed = await used.run(
            "import os, time\n"
            "for _ in range(4):\n"
            "    if not os.fork():\n"
            "        data = bytearray(b'a') * (120 << 20); time.sleep(30); os._exit(0)\n"
            "time.sleep(30)",
            seconds=50,
        )
        assert crashed.rollback is not None
        assert "MiB of memory" in crashed.rollback.reason
        assert await used.value("x") == "'before'"


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
