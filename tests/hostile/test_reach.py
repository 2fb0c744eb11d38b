"""What a session can reach of the host, enumerated: every system call, all of /proc and /sys."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.kernel_calls import KERNEL_CALLS

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.hostile.arena import Arena

COLUMN = 0 if os.uname().machine == "x86_64" else 1

HARMLESS = Path(__file__).with_name("harmless_calls.txt")
NOT_CALLED = {"exit", "exit_group", "pause", "rt_sigreturn", "rt_sigsuspend", "vfork", "fork"}
"""What they do is known, and they would end or stop the process that calls them."""

EVERY_CALL = """
import signal
names = list({names!r}.items())
found = {{}}
while names:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        for name, number in names[:25]:
            signal.alarm(2)
            result = refusal(syscall, number, -1, -1, -1, -1, -1, -1)
            os.write(writer, f'{{result}} '.encode())
        os._exit(0)
    os.close(writer)
    results = os.read(reader, 4096).decode()
    while more := os.read(reader, 4096):
        results += more.decode()
    os.close(reader)
    os.waitpid(child, 0)
    results = results.split()
    if len(results) < len(names[:25]):
        results.append('killed')
    for (name, _), result in zip(names, results):
        found[name] = result
    names = names[len(results):]
say(found)
"""


async def test_every_system_call_there_is_is_refused_or_known_to_be_harmless(arena: Arena) -> None:
    """Each is made with arguments that make no sense, in a process that may die of it."""
    names = {
        name: numbers[COLUMN]
        for name, numbers in KERNEL_CALLS.items()
        if numbers[COLUMN] >= 0 and name not in NOT_CALLED | {"clone", "restart_syscall"}
    }
    async with arena.attacker() as attacker:
        answers = await attacker.ask_table(EVERY_CALL.format(names=names))
    reached = {name for name, answer in answers.items() if answer not in ("ENOSYS", "EPERM")}
    lines = HARMLESS.read_text(encoding="ascii").splitlines()
    known = {name for line in lines if not line.startswith(("#", "[")) for name in line.split()}
    assert reached - known == set()
    assert len(answers) > 300


IPC_CREAT = 0o1000


@pytest.fixture
def segment() -> Generator[int]:
    """Shared memory of the host, which every user may read and write."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.shmget(0, 4096, IPC_CREAT | 0o666)
    assert made >= 0, os.strerror(ctypes.get_errno())
    yield made
    libc.shmctl(made, 0, None)  # IPC_RMID


async def test_shared_memory_semaphores_and_queues_of_the_host_are_out_of_reach(
    arena: Arena, segment: int
) -> None:
    """By their number, which can be guessed, and by the C library as well as by the call."""
    calls = [
        *("shmat", "shmctl", "shmdt", "semctl", "semop", "semtimedop"),
        *("msgsnd", "msgrcv", "msgctl"),
    ]
    numbers = {name: KERNEL_CALLS[name][COLUMN] for name in calls}
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"say({{name: refusal(syscall, number, {segment}, 0, 0, 0)"
            f" for name, number in {numbers!r}.items()}})"
        )
        assert answer == dict.fromkeys(calls, "ENOSYS")
        answer = await attacker.ask(
            "_libc.shmat.restype = ctypes.c_long\n"
            f"say([_libc.shmat({segment}, None, 0), errno.errorcode[ctypes.get_errno()]])"
        )
        assert answer == [-1, "ENOSYS"]


async def test_what_others_do_with_files_cannot_be_watched_or_held_up(
    arena: Arena, canary: Path
) -> None:
    del canary
    numbers = {name: KERNEL_CALLS[name][COLUMN] for name in ("inotify_init1", "fanotify_init")}
    async with arena.attacker() as attacker:
        answer = await attacker.ask(
            f"say([refusal(syscall, number, 0, 0) for number in {list(numbers.values())}])"
        )
        assert answer == ["ENOSYS", "EPERM"]
        answer = await attacker.ask(
            "import fcntl\nfound = []\n"
            "for path in ('/usr/bin', '/usr/bin/env', '/proc/self'):\n"
            "    opened = os.open(path, os.O_RDONLY)\n"
            "    for command in (fcntl.F_NOTIFY, fcntl.F_SETLEASE):\n"
            "        found.append(refusal(fcntl.fcntl, opened, command, 1))\n"
            "say(found)"
        )
        assert answer == ["EPERM"] * 6


async def test_the_machine_has_no_name_and_little_to_tell(arena: Arena) -> None:
    """Where there are no namespaces /proc is the host's; SECURITY.md says what can be read."""
    if not arena.in_namespaces:
        return
    async with arena.attacker() as attacker:
        await attacker.run(
            "import glob, socket\n"
            "def text(path):\n"
            "    try:\n"
            "        with open(path, errors='replace') as file: return file.read(10_000)\n"
            "    except OSError: return ''\n"
            "files = [path for path in glob.glob('/proc/[a-z]*') if os.path.isfile(path)]"
        )
        assert await attacker.ask("say([os.uname().nodename, socket.gethostname()])") == [
            "session",
            "session",
        ]
        everything = await attacker.ask("say(' '.join(map(text, [*files, '/etc/hosts'])))")
        assert platform.node() not in str(everything).split()
        told = await attacker.ask_list("say([path for path in files if text(path)])")
        assert set(told) <= {
            f"/proc/{each}"
            for each in (
                *("cgroups", "consoles", "cpuinfo", "crypto", "execdomains", "fb", "filesystems"),
                *("latency_stats", "loadavg", "locks", "meminfo", "misc", "mounts", "stat"),
                *("uptime", "version", "vmstat", "dma", "mtrr"),
            )
        }
        assert await attacker.ask("say(os.path.exists('/sys'))") is False
