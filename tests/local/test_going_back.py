"""What is as before in a session that went back to a copy of its process, and what is not."""

from __future__ import annotations

from tests.local.one_session import session


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
