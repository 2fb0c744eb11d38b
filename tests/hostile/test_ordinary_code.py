"""What is not hostile at all, and must not be harmed by what stops the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.hostile.test_survivors import new_marker, processes_with

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

ORDINARY = {
    "two hundred open files": (
        (
            "files = [open(f'file{n}', 'w') for n in range(200)]\n"
            "for file in files: file.write('x'); file.close()\n"
            "say(len(files))"
        ),
        200,
    ),
    "a pool of processes": (
        (
            "import multiprocessing\n"
            "def square(x): return x * x\n"
            "with multiprocessing.get_context('fork').Pool(4) as workers:\n"
            "    say(sum(workers.map(square, range(100))))"
        ),
        328_350,
    ),
    "work for all processors": (
        # As scikit-learn does it with n_jobs=-1. Where processes cannot share locks, one works.
        (
            "import joblib, warnings\nwarnings.simplefilter('ignore')\n"
            "squares = joblib.Parallel(n_jobs=-1)(joblib.delayed(pow)(n, 2) for n in range(50))\n"
            "say(sum(squares))"
        ),
        40_425,
    ),
    "threads for all processors": (
        (
            "import concurrent.futures, numpy\n"
            "def norm(n):\n"
            "    return float(numpy.linalg.norm(numpy.ones((200, 200)) @ numpy.eye(200)))\n"
            "with concurrent.futures.ThreadPoolExecutor(8) as workers:\n"
            "    say(round(sum(workers.map(norm, range(16)))))"
        ),
        3200,
    ),
    "a program that is slow to start beside much memory": (
        # Until it has opened what it is given, it has the memory of who starts it (vfork).
        (
            "import time\nos.mkfifo('fifo')\n"
            "if os.fork() == 0: time.sleep(1); open('fifo', 'w').close(); os._exit(0)\n"
            "used = bytearray(os.urandom(1)) * (230 << 20)\n"
            "opened = [(os.POSIX_SPAWN_OPEN, 9, 'fifo', os.O_RDONLY, 0)]\n"
            "os.posix_spawn('/bin/true', ['true'], {}, file_actions=opened)\n"
            "os.wait(); os.wait()\nsay(len(used) >> 20)"
        ),
        230,
    ),
    "a hundred threads": (
        (
            "import threading\ndone = []\n"
            "threads = [threading.Thread(target=done.append, args=(n,)) for n in range(100)]\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()\n"
            "say(len(done))"
        ),
        100,
    ),
    "a table": (
        (
            "import pandas\n"
            "frame = pandas.DataFrame({'group': [1, 2] * 5000, 'value': range(10_000)})\n"
            "frame.to_csv('table.csv')\n"
            "say(int(pandas.read_csv('table.csv').groupby('group').value.sum()[1]))"
        ),
        24_995_000,
    ),
    "a database": (
        (
            "import sqlite3\n"
            "with sqlite3.connect('data.db') as data:\n"
            "    data.execute('create table t (x)'); data.execute('insert into t values (41)')\n"
            "    say(data.execute('select x + 1 from t').fetchone()[0])"
        ),
        42,
    ),
    "a pipeline of programs": (
        (
            "import subprocess\n"
            "say(subprocess.run('seq 10 | grep 1 | wc -l', shell=True, capture_output=True,"
            " text=True).stdout.strip())"
        ),
        "2",
    ),
    "programs in a group of their own": (
        (
            "import signal, subprocess\n"
            "program = subprocess.Popen(['sleep', '60'], process_group=0)\n"
            "program.terminate()\nsay(program.wait())"
        ),
        -15,
    ),
    "asynchronous subprocesses": (
        (
            "import asyncio\n"
            "async def run():\n"
            "    program = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)\n"
            "    return (await program.communicate())[0].decode().strip()\n"
            "say(await run())"
        ),
        "hi",
    ),
    "an asynchronous server and its client": (
        (
            "import asyncio\n"
            "async def answer(reader, writer):\n"
            "    writer.write((await reader.readline()).upper())\n"
            "    await writer.drain(); writer.close()\n"
            "async def run():\n"
            "    server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
            "    port = server.sockets[0].getsockname()[1]\n"
            "    reader, writer = await asyncio.open_connection('127.0.0.1', port)\n"
            "    writer.write(b'hi\\n'); got = await reader.readline()\n"
            "    writer.close(); server.close(); return got.decode()\n"
            "say(await run())"
        ),
        "HI\n",
    ),
    "a gibibyte that is only reserved": (
        (
            "import mmap\nreserved = mmap.mmap(-1, 2**30, flags=mmap.MAP_PRIVATE)\n"
            "reserved[0] = 1\nsay(reserved[0])"
        ),
        1,
    ),
}

NOT_IN_LANDLOCK = {
    # Its locks lie in /dev/shm, which is the host's there, and so closed.
    "a pool of processes": "PermissionError",
    # Loopback, too, would be the host's: asyncio leaves out sockets that it may not make.
    "an asynchronous server and its client": "IndexError",
}
"""What raises an error there, by its name."""


@pytest.mark.parametrize("what", ORDINARY)
async def test_ordinary_code_works(arena: Arena, what: str) -> None:
    code, answer = ORDINARY[what]
    async with arena.attacker() as attacker:
        if what in NOT_IN_LANDLOCK and not arena.in_namespaces:
            execution = await attacker.run(code)
            assert execution.error is not None
            assert execution.error.name == NOT_IN_LANDLOCK[what]
            return
        assert await attacker.ask(code) == answer


async def test_a_session_has_one_share_of_processor_time(arena: Arena) -> None:
    """The kernel divides it among terminal sessions, or else among control groups."""
    marker = new_marker()
    async with arena.attacker() as attacker:
        await attacker.run(
            "import subprocess, sys\n"
            f"command = [sys.executable, '-c', 'import time; time.sleep(20)', {marker!r}]\n"
            "for _ in range(3): subprocess.Popen(command, start_new_session=True)"
        )
        with anyio.fail_after(10):
            while len(processes_with(marker)) < 3:  # noqa: ASYNC110 -- nothing tells of them
                await anyio.sleep(0.05)
        shares = {share_of(process) for process in processes_with(marker)}
    assert len(shares) == 1


def share_of(process: int) -> str:
    """The control group that divides a process's time, or its terminal session."""
    groups = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    of_time = [line for line in groups if ":cpu:" in line or line.startswith("0::")]
    if any("aca-mcp-" in line for line in of_time):
        return str(of_time)
    try:
        return Path(f"/proc/{process}/autogroup").read_text().split()[0]
    except FileNotFoundError:
        return "none"  # each process has one, then
