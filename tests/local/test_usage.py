"""What a process and all that it started use."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aca_mcp.local.usage import measure, measure_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

MEBIBYTE = 2**20


def started(program: str) -> Iterator[int]:
    """A process that runs a program which says when it is ready, and then waits."""
    waits = f"{program}\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")


@pytest.fixture
def holder() -> Iterator[int]:
    """A process whose child holds 40 MiB, after a thread of its own started it."""
    yield from started(
        "import os, threading\n"
        "ready, done = os.pipe(), os.pipe()\n"
        "def start():\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(os.urandom(1) * (40 << 20))\n"
        "        os.write(ready[1], b'x'); os.close(done[1]); os.read(done[0], 1); os._exit(0)\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=start, daemon=True).start()\n"
        "os.read(ready[0], 1)"
    )


def exceeds(pid: int, limit: int) -> bool:
    """Exactly, which the quick sum must never fall short of."""
    exact, is_exact = measure_exactly(pid, 30)
    assert is_exact
    assert measure(pid).memory >= exact * 0.9
    return exact > limit


def test_what_children_hold_counts(holder: int) -> None:
    assert exceeds(holder, 30 * MEBIBYTE)
    assert not exceeds(holder, 500 * MEBIBYTE)


def test_what_is_shared_with_a_child_counts_once() -> None:
    for pid in started(
        "import os\n"
        "held = bytearray(os.urandom(1) * (60 << 20))\n"
        "done = os.pipe()\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0: os.close(done[1]); os.read(done[0], 1); os._exit(0)"
    ):
        assert exceeds(pid, 40 * MEBIBYTE)
        assert not exceeds(pid, 120 * MEBIBYTE)


def test_memory_that_is_shared_by_mapping_counts() -> None:
    for pid in started("import mmap\nheld = mmap.mmap(-1, 60 << 20)\nheld.write(bytes(60 << 20))"):
        assert exceeds(pid, 40 * MEBIBYTE)


def test_a_file_that_is_mapped_does_not(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")  # noqa: PTH118 -- a string for the program
    with open(path, "wb") as file:  # noqa: PTH123 -- likewise
        file.write(os.urandom(mmap.PAGESIZE) * (60 * MEBIBYTE // mmap.PAGESIZE))
    for pid in started(
        f"import mmap\nfile = open({path!r}, 'rb')\n"
        "held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\nsum(held[::4096])"
    ):
        assert not exceeds(pid, 40 * MEBIBYTE)


def test_a_process_that_has_ended_has_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not exceeds(process.pid, 0)


def test_processes_and_threads_are_counted_apart() -> None:
    for pid in started(
        "import os, threading\n"
        "done = os.pipe()\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0: os.close(done[1]); os.read(done[0], 1); os._exit(0)\n"
        "for _ in range(4): threading.Thread(target=threading.Event().wait, daemon=True).start()"
    ):
        found = measure(pid)
        assert (found.processes, found.threads) == (4, 8)


def test_sockets_pipes_and_event_queues_are_counted_each_once() -> None:
    for pid in started(
        "import os, select, socket\n"
        "pairs = [socket.socketpair() for _ in range(100)]\n"
        "pipes = [os.pipe() for _ in range(50)]\n"
        "queues = [select.epoll() for _ in range(7)]\n"
        "done = os.pipe()\n"
        "if os.fork() == 0: os.close(done[1]); os.read(done[0], 1); os._exit(0)"
    ):
        found = measure(pid, descriptors=True)
        assert 250 <= found.channels <= 256
        assert found.event_queues == 14
        assert measure(pid).channels == 0
