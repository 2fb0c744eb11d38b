"""Code that takes all it can get: processes, memory, disk, descriptors, output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.pool import ExecutionStatus
from aca_mcp.sandbox.limits import MAX_OPEN_FILES
from tests.hostile.arena import (
    DISK_MIB,
    MAX_PROCESSES,
    MAX_THREADS,
    MEMORY_MIB,
    NO_CHECKPOINT,
    OUT_OF_DISK,
    OUT_OF_MEMORY,
    TOO_MANY_PROCESSES,
    ended_by,
    why,
)

if TYPE_CHECKING:
    from tests.hostile.arena import Arena, Attacker

MEBIBYTE = 2**20

LARGE_CHILDREN = """
import time
{before}
def child():
    if os.fork() == 0:
        {then}
        hoard = bytearray(150 * 2**20)
        time.sleep(60)
for _ in range(6):
    child()
    {meanwhile}
time.sleep(30)
"""


def status_of_server(field: str) -> int:
    """A figure of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def begin_measuring() -> int:
    """What this process has now; from here on ``VmHWM`` is the most it had since."""
    Path("/proc/self/clear_refs").write_text("5")
    return status_of_server("VmRSS")


async def test_a_fork_bomb_ends_itself_and_nothing_else(arena: Arena) -> None:
    """Which says how many there were, and what may be set."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import time\nwhile True:\n"
            "    try:\n"
            "        if os.fork() == 0:\n            time.sleep(60); os._exit(0)\n"
            "    except OSError: time.sleep(0.01)"
        )
        assert why(execution, TOO_MANY_PROCESSES), execution


async def test_a_fork_bomb_in_sessions_of_their_own_ends_itself_too(arena: Arena) -> None:
    """Its processes have left the group that is signalled, where they may."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "while True:\n    try:\n        if os.fork() == 0: os.setsid()\n"
            "    except OSError: pass",
            timeout_seconds=30,
        )
        assert why(execution, TOO_MANY_PROCESSES), execution


async def test_a_process_that_always_is_another_one_ends_with_its_code(arena: Arena) -> None:
    """Each lives for a moment, and has a child by then: who is listed is gone already."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import time\nif os.fork() == 0:\n"
            "    end = time.monotonic() + 30\n"
            "    while time.monotonic() < end:\n        if os.fork(): os._exit(0)\n"
            "os._exit(9)"
        )
        assert ended_by(execution) == "its process ended itself (exit code 9)"


async def test_a_fork_bomb_that_goes_on_is_stopped_with_its_children(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
            timeout_seconds=1,
        )
        too_many = why(execution, TOO_MANY_PROCESSES)
        assert execution.status is ExecutionStatus.TIMED_OUT or too_many, execution


async def test_forked_children_are_interrupted_with_the_code_that_forked_them(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "for _ in range(3):\n    if os.fork() == 0: break\nwhile True: pass",
            timeout_seconds=3,
        )
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert await attacker.ask("say([os.waitpid(-1, 0)[1] for _ in range(3)])") == [0, 0, 0]


async def test_a_thread_bomb_runs_into_the_limit_of_its_own_session(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import threading\nend = threading.Event()\n"
            "while True:\n    threading.Thread(target=end.wait, daemon=True).start()"
        )
        assert execution.status is ExecutionStatus.FAILED
        assert execution.error is not None
        assert execution.error.name == "RuntimeError"
        assert execution.error.message == (
            f"can't start new thread [The session may have {MAX_PROCESSES} processes "
            f"(ACA_MCP_LOCAL_MAX_PROCESSES) and {MAX_THREADS} threads (ACA_MCP_LOCAL_MAX_THREADS).]"
        )


async def test_more_than_any_session_could_have_is_a_memory_error_and_the_session_lives(
    arena: Arena,
) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run("hoard = bytearray(2**45)")
        assert execution.error is not None
        assert execution.error.name == "MemoryError"
        assert f"{MEMORY_MIB} MiB of memory: ACA_MCP_LOCAL_MEMORY_MIB" in execution.error.message


async def test_memory_that_is_reserved_and_not_used_does_not_count(arena: Arena) -> None:
    """As allocators, thread stacks and databases do with many times what they use."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import mmap, threading, time\n"
            "reserved = [mmap.mmap(-1, 2**30, flags=mmap.MAP_PRIVATE) for _ in range(8)]\n"
            "end = threading.Event()\n"
            "threads = [threading.Thread(target=end.wait) for _ in range(100)]\n"
            "for thread in threads: thread.start()\n"
            "used = os.urandom(1) * (200 << 20)\n"
            "time.sleep(0.3)\nend.set()\nsay('alive')"
        )
        assert answer == "alive"


FAST = {
    "one array": "hoard = b'x' * 2**33",
    "growing": "hoard = []\nwhile True: hoard.append(b'x' * 2**24)",
    "private pages": "import mmap\nhoard = mmap.mmap(-1, 2**32, flags=mmap.MAP_PRIVATE)\n"
    "for i in range(0, 2**32, 4096): hoard[i] = 1",
    "shared pages": "import mmap\nhoard = mmap.mmap(-1, 2**32)\n"
    "for i in range(0, 2**32, 4096): hoard[i] = 1",
    "many threads": "import mmap, threading\n"
    "def take():\n    hoard.append(b'x' * 2**30)\n"
    "hoard = []\nfor _ in range(8): threading.Thread(target=take).start()\n"
    "threading.Event().wait(20)",
    "page tables": "import mmap\nhoard = mmap.mmap(-1, 2**34, flags=mmap.MAP_PRIVATE)\n"
    "hoards = [hoard, *(mmap.mmap(-1, 2**30, flags=mmap.MAP_SHARED) for _ in range(100))]\n"
    "for each in hoards[1:]:\n    for i in range(0, 2**30, 2**12): each[i]",
}
OVERSHOOT_MIB = 1024
"""What the quickest of them can take before it is seen, at the most: SECURITY.md has the figure."""


@pytest.mark.parametrize("how", FAST)
async def test_memory_that_is_used_ends_the_session_that_took_it(arena: Arena, how: str) -> None:
    """Soon, however quick it is taken, and with the figure, the limit and the setting."""
    async with arena.attacker() as attacker:
        # On a machine that has much else to do code is slow to take it, too.
        execution = await attacker.run(FAST[how], timeout_seconds=40)
        assert execution.status is ExecutionStatus.FAILED
        assert why(execution, OUT_OF_MEMORY)
        if used := re.search(r"used ([\d,]+) MiB", ended_by(execution)):
            assert int(used[1].replace(",", "")) < MEMORY_MIB + OVERSHOOT_MIB


async def loss_of(arena: Arena, attacker: Attacker) -> str:
    """Why a session that nobody uses is ended, as its next use is told, which starts another."""
    with anyio.fail_after(15):
        while True:
            await anyio.sleep(0.3)
            execution = await arena.pool.execute(attacker.identifier, "1", timeout_seconds=5)
            attacker.lost = execution.session_lost
            if lost := execution.lost_before or execution.session_lost:
                attacker.has_witness = False
                return lost.partition(NO_CHECKPOINT)[0]


async def test_an_idle_session_cannot_take_what_it_likes_behind_its_back(arena: Arena) -> None:
    """Children that were left behind allocate all at once when no code runs any more."""
    async with arena.attacker() as attacker:
        await attacker.run(
            "import time\nfor _ in range(6):\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(1)\n        hoard = b'x' * (150 << 20)\n        time.sleep(60)\n"
            "        os._exit(0)"
        )
        assert OUT_OF_MEMORY.fullmatch(await loss_of(arena, attacker))


SLOW_TO_MEASURE = """
import mmap, time
for _ in range(20):
    if os.fork() == 0:
        # Neighbouring mappings of different rights are not joined.
        kept = [mmap.mmap(-1, 4096, prot=1 + number % 2 * 2) for number in range(20_000)]
        hoard = []
        while True:
            hoard.append(os.urandom(1) * (4 << 20))
            time.sleep(0.01)
time.sleep(30)
"""


async def test_a_session_that_is_slow_to_measure_is_measured_all_the_same(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(SLOW_TO_MEASURE)
        assert why(execution, OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("before", "then", "meanwhile"),
    [
        ("", "pass", "pass"),
        ("", "if os.fork(): os._exit(0)", "os.wait()"),
        ("_libc.prctl(4, 0, 0, 0, 0)", "pass", "pass"),
        ("", "os.setsid()", "pass"),
    ],
    ids=["children", "orphans", "undumpable", "own-group"],
)
async def test_memory_of_all_processes_counts_together(
    arena: Arena, before: str, then: str, meanwhile: str
) -> None:
    """However they hide: as orphans, behind dumpable = 0, in a group of their own."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            LARGE_CHILDREN.format(before=before, then=then, meanwhile=meanwhile)
        )
        assert execution.status is ExecutionStatus.FAILED
        assert why(execution, OUT_OF_MEMORY)


@pytest.mark.parametrize("directory", [".", "tempfile.gettempdir()", "/dev/shm"])
async def test_a_disk_is_full_before_the_host_notices(arena: Arena, directory: str) -> None:
    path = directory if directory.startswith("tempfile") else repr(directory)
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            f"import tempfile\nwritten = 0\ndirectory = {path}\n"
            "try:\n"
            "    for number in range(40):\n"
            "        with open(f'{directory}/fill{number}', 'wb', buffering=0) as file:\n"
            "            for _ in range(16):\n"
            "                written += file.write(bytes(2**20))\n"
            "except OSError as error:\n    say([written, errno.errorcode[error.errno]])\n"
            f"import time; time.sleep({0 if arena.in_namespaces else 10} if written else 0)"
        )
        match [arena.in_namespaces, directory]:
            case [True, "."]:
                size = DISK_MIB
            case [True, _]:
                size = 256
            case [_, "/dev/shm"]:  # not the session's there, so there is nothing to fill
                assert execution.stdout.text == '[0, "EACCES"]\n'
                return
            case _:
                assert why(execution, OUT_OF_DISK)
                return
        assert execution.stdout.text == f'[{size * MEBIBYTE}, "ENOSPC"]\n'
        await attacker.run(
            "import glob\nfor name in glob.glob(f'{directory}/fill*'): os.unlink(name)"
        )


async def test_files_without_a_name_are_limited_too(arena: Arena) -> None:
    """They are deleted while open, and gone with the last that has them open."""
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import time\nheld = []\nfor _ in range(40):\n"
            "    held.append(open('big', 'w+b', buffering=0)); os.unlink('big')\n"
            "    held[-1].write(bytes(4 << 20))\ntime.sleep(10)"
        )
        if arena.in_namespaces:
            assert execution.error is not None
            assert execution.error.message.startswith("[Errno 28] No space left on device")
            await attacker.run("for each in held: each.close()")
        else:
            assert why(execution, OUT_OF_DISK)


async def test_files_without_content_are_limited_too(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "import time\nfor number in range(20_000):\n    open(f'empty{number}', 'w').close()\n"
            "time.sleep(10)"
        )
        if arena.in_namespaces:
            assert execution.error is not None
            assert execution.error.message.startswith("[Errno 28] No space left on device: 'empty")
            listing = await arena.pool.list_files(attacker.identifier)
            assert listing.truncated
            assert len(listing.entries) == 1000
        else:
            assert why(execution, OUT_OF_DISK)


async def test_output_without_end_costs_the_server_no_memory(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        before = begin_measuring()
        execution = await attacker.run(
            "line = b'all work and no play ' * 3000\nwhile True: os.write(1, line)",
            timeout_seconds=1.5,
        )
        assert status_of_server("VmHWM") - before < 32 * MEBIBYTE
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert execution.session_lost is None
        assert execution.stdout.total_bytes > 20 * MEBIBYTE
        assert len(execution.stdout.text) < 100_000


async def test_the_true_total_of_a_flood_is_reported(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "!yes flood | head -c 200000000 ; yes err | head -c 9999999 >&2"
        )
        assert execution.stdout.total_bytes == 200_000_000
        assert execution.stdout.omitted_bytes == 200_000_000 - 64 * 1024
        assert execution.stderr.total_bytes == 9_999_999


async def test_descriptors_run_out_for_the_session_alone(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "taken = []\ntry:\n    while True: taken.append(os.open('/dev/null', os.O_RDONLY))\n"
            "except OSError as error: name = errno.errorcode[error.errno]\n"
            "for descriptor in taken: os.close(descriptor)\n"
            "say([len(taken), name])"
        )
        match answer:
            case [int(taken), "EMFILE"]:
                # The others are its streams and the connections to its supervisor.
                assert MAX_OPEN_FILES - 10 <= taken < MAX_OPEN_FILES
            case _:
                raise AssertionError(answer)
        execution = await attacker.run(
            "taken = []\nwhile True: taken.append(os.open('/dev/null', os.O_RDONLY))"
        )
        assert execution.error is not None
        assert execution.error.message == (
            "[Errno 24] Too many open files: '/dev/null' [A process of the session may have "
            f"{MAX_OPEN_FILES} files open at once.]"
        )


async def test_a_session_cannot_raise_its_limits(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import resource\nfound = {}\n"
            "for kind in 'SIGPENDING DATA NPROC NOFILE FSIZE CORE MEMLOCK MSGQUEUE'.split():\n"
            "    number = getattr(resource, 'RLIMIT_' + kind)\n"
            "    try:\n"
            "        resource.setrlimit(number, (resource.getrlimit(number)[1] + 1,) * 2)\n"
            "    except ValueError as error:\n        found[kind] = str(error)\n"
            "say(sorted(set(found.values())) + [len(found)])"
        )
        assert answer == ["not allowed to raise maximum limit", 8]
