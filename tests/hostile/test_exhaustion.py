"""Code that takes all it can get: processes, memory, disk, descriptors, output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.pool import ExecutionStatus
from aca_mcp.sandbox.limits import MAX_OPEN_FILES
from tests.hostile.arena import DISK_MIB, MAX_PROCESSES, OUT_OF_DISK, OUT_OF_MEMORY

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

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


@pytest.mark.key_attack
async def test_a_fork_bomb_runs_into_the_limit_of_its_own_session(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import time\nchildren = 0\ntry:\n"
            "    while True:\n"
            "        if os.fork() == 0:\n            time.sleep(60); os._exit(0)\n"
            "        children += 1\n"
            "except OSError as error:\n    say([children, errno.errorcode[error.errno]])"
        )
        match answer:
            case [int(children), "EAGAIN"]:
                # Where sessions share their user with the tests, others count too.
                assert (0 if arena.shares_identity else 30) <= children < MAX_PROCESSES
            case _:
                raise AssertionError(answer)


async def test_a_fork_bomb_that_goes_on_is_stopped_with_its_children(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
            timeout_seconds=1,
        )
        assert execution.status is ExecutionStatus.TIMED_OUT


async def test_forked_children_are_interrupted_with_the_code_that_forked_them(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run(
            "for _ in range(3):\n    if os.fork() == 0: break\nwhile True: pass",
            timeout_seconds=0.5,
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
        assert execution.error.message == "can't start new thread"


async def test_private_memory_ends_in_a_memory_error_and_the_session_lives(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        execution = await attacker.run("hoard = bytearray(2**30)")
        assert execution.error is not None
        assert execution.error.name == "MemoryError"
        execution = await attacker.run("hoard = []\nwhile True: hoard.append(bytearray(2**24))")
        assert execution.error is not None
        assert execution.error.name == "MemoryError"
        await attacker.run("hoard.clear()")


@pytest.mark.parametrize("pages", ["shared", "private"])
async def test_mapped_memory_ends_the_session_that_took_it(arena: Arena, pages: str) -> None:
    code = (
        "import mmap, time\nhoard = mmap.mmap(-1, 2**30)\n"
        "for i in range(0, 2**30, 4096): hoard[i] = 1\ntime.sleep(20)"
        if pages == "shared"
        else "import mmap\nhoard = mmap.mmap(-1, 2**30, flags=mmap.MAP_PRIVATE)"
    )
    async with arena.attacker() as attacker:
        execution = await attacker.run(code)
        assert execution.status is ExecutionStatus.FAILED
        if pages == "shared":
            assert execution.session_lost == OUT_OF_MEMORY
        else:
            assert execution.error is not None
            assert execution.error.message == "[Errno 12] Cannot allocate memory"


@pytest.mark.key_attack
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
        assert execution.session_lost == OUT_OF_MEMORY


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
                assert execution.session_lost == OUT_OF_DISK
                return
        assert execution.stdout.text == f'[{size * MEBIBYTE}, "ENOSPC"]\n'
        await attacker.run(
            "import glob\nfor name in glob.glob(f'{directory}/fill*'): os.unlink(name)"
        )


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
            assert execution.session_lost == OUT_OF_DISK


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
        assert answer == [MAX_OPEN_FILES - 4, "EMFILE"]
        execution = await attacker.run(
            "taken = []\nwhile True: taken.append(os.open('/dev/null', os.O_RDONLY))"
        )
        assert execution.error is not None
        assert execution.error.message == "[Errno 24] Too many open files: '/dev/null'"


async def test_a_session_cannot_raise_its_limits(arena: Arena) -> None:
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            "import resource\nfound = {}\n"
            "for kind in 'AS DATA NPROC NOFILE FSIZE CORE MEMLOCK MSGQUEUE'.split():\n"
            "    number = getattr(resource, 'RLIMIT_' + kind)\n"
            "    try:\n"
            "        resource.setrlimit(number, (resource.getrlimit(number)[1] + 1,) * 2)\n"
            "    except ValueError as error:\n        found[kind] = str(error)\n"
            "say(sorted(set(found.values())) + [len(found)])"
        )
        assert answer == ["not allowed to raise maximum limit", 8]
