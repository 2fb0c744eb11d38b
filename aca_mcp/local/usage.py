"""What a session uses now, all its processes together, measured from outside.

Memory is what it really uses: private pages, shared ones once, what was swapped out, and the page
tables for it. Address space that libraries only reserve does not count, nor do files, nor what is
shared unchanged with the template. Blocking; for worker threads.

A quick sum, some reads of ``/proc`` for each process, counts shared pages as often as they are
shared. Only where that is too much an exact one is made, which takes the kernel far longer.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.sandbox.syscalls import share_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAX_TASKS = 8192
_QUICK = (b"RssAnon:", b"RssShmem:", b"VmSwap:", b"VmPTE:")
_ALONE = (b"Private_Dirty:", b"SwapPss:")
_OWN = (b"VmPTE:",)
_EXACT = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
_QUICK_FIELDS = re.compile(rb"^(?:RssAnon|RssShmem|VmSwap|VmPTE):\s*(\d+)", re.MULTILINE)
_THREADS_FIELD = re.compile(rb"^Threads:\s*(\d+)", re.MULTILINE)

_SOCKETS_FIELD = re.compile(rb"^sockets: used (\d+)", re.MULTILINE)

_FEW_DESCRIPTORS = 256
"""Of all processes together; so few are not looked at one by one."""


class Usage(NamedTuple):
    """What a session uses."""

    memory: int
    """Bytes; never less than it really is."""
    processes: int
    threads: int
    """Of all processes, the first of each included."""
    channels: int = 0
    """Sockets and pipes that are open, each once."""
    event_queues: int = 0
    """``epoll`` instances."""


def measure(pid: int, *, descriptors: bool = False, own_network: bool = False) -> Usage:
    """Measure a process and all that came from it, quickly.

    Args:
        pid: of the session's first process.
        descriptors: look at what its processes have open, too.
        own_network: it has one, whose sockets are all its own, also those that nobody has open:
            connections that wait to be accepted, or that were closed before all was read.
    """
    processes: list[int] = []
    kilobytes = threads = 0
    for process in _tree(pid):
        text = _read_if_there(f"/proc/{process}/status")
        if found := _QUICK_FIELDS.findall(text):  # one that ends has no memory any more
            processes.append(process)
            kilobytes += sum(map(int, found))
            threads += sum(map(int, _THREADS_FIELD.findall(text)))
    channels, queues = _open_in(processes) if descriptors else (0, 0)
    if own_network and (
        found := _SOCKETS_FIELD.findall(_read_if_there(f"/proc/{pid}/net/sockstat"))
    ):
        channels = max(channels, int(found[0]))
    return Usage(kilobytes * 1024, len(processes), threads, channels, queues)


def measure_exactly(pid: int, seconds: float) -> tuple[int, bool]:
    """Memory of a process and all that came from it in bytes, shared pages counted once.

    So are whole address spaces that are shared: a process that starts another one is for a moment
    two with the same memory.

    Args:
        pid: of the session's first process.
        seconds: to measure for. What is not measured by then counts in full, so that code gains
            nothing by being slow to measure.

    Returns:
        The memory, and whether all of it was measured.
    """
    end = time.monotonic() + seconds
    total = 0
    is_exact = True
    counted: list[int] = []
    for process in _tree(pid):
        if any(share_memory(process, other) for other in counted):
            continue
        counted.append(process)
        is_exact &= time.monotonic() < end
        exact = _fields(process, "smaps_rollup", _EXACT) if is_exact else None
        if exact is None:
            # Also of one that hides the exact figures from others of its user.
            total += _fields(process, "status", _QUICK) or 0
        else:
            total += exact + (_fields(process, "status", _OWN) or 0)
    return total * 1024, is_exact


class Measurements(NamedTuple):
    """How a session is measured: often, and, where that is too much, exactly."""

    quick: Callable[..., Usage] = measure
    exact: Callable[[int, float], tuple[int, bool]] = measure_exactly


def only_of(pid: int, inner_pids: list[int]) -> int:
    """Bytes that some of the processes below ``pid`` have alone, by their numbers in there."""
    return 1024 * sum(
        (_fields(process, "smaps_rollup", _ALONE) or 0) + (_fields(process, "status", _OWN) or 0)
        for process in _those_of(pid, inner_pids)
    )


def most_of(pid: int, inner_pids: list[int]) -> int:
    """Bytes that may be free when some of the processes below ``pid`` have ended, at the most."""
    return 1024 * sum(
        _fields(process, "status", _QUICK) or 0 for process in _those_of(pid, inner_pids)
    )


def _those_of(pid: int, inner_pids: list[int]) -> Iterator[int]:
    return (process for process in _tree(pid) if inner_pids and _inner_pid(process) in inner_pids)


def mappings(pid: int, most: int) -> int:
    """How many mappings a process and all that came from it have, or somewhat more than ``most``.

    Each takes some 250 bytes of the kernel's memory, which no process is said to have.
    """
    total = 0
    for process in _tree(pid):
        with suppress(OSError), open(f"/proc/{process}/maps", "rb") as lines:  # noqa: PTH123 -- polled
            while total <= most and (part := lines.read(65_536)):
                total += part.count(b"\n")
    return total


def deleted_files(pid: int, directory: Path) -> int:
    """Bytes in files of a directory's file system that a session has open, and have no name."""
    try:
        device = directory.stat().st_dev
    except OSError:
        return 0
    found: dict[int, int] = {}
    for process in _tree(pid):
        for name in _descriptors(process):
            with suppress(OSError):
                status = os.stat(f"/proc/{process}/fd/{name}")  # noqa: PTH116 -- polled
                is_nameless = stat.S_ISREG(status.st_mode) and not status.st_nlink
                if is_nameless and status.st_dev == device:
                    found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def _inner_pid(pid: int) -> int:
    """What a process is called in its own PID namespace; 0 if it has ended."""
    try:
        lines = _read(f"/proc/{pid}/status").splitlines()
    except OSError:
        return 0
    numbers = [line.split() for line in lines if line.startswith(b"NSpid:")]
    return int(numbers[0][-1]) if numbers else 0


def _fields(pid: int, file: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of some fields; 0 if the process has ended, None if they may not be read."""
    try:
        text = _read(f"/proc/{pid}/{file}")
    except PermissionError:
        return None
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names))


def _read_if_there(path: str) -> bytes:
    try:
        return _read(path)
    except OSError:
        return b""  # it has ended, or hides from others of its user


def _read(path: str) -> bytes:
    # Made of few calls, because it is done often.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65_536)
    finally:
        os.close(descriptor)


def _tree(pid: int) -> Iterator[int]:
    pending = [pid]
    seen = 0
    while pending and seen < _MAX_TASKS:
        current = pending.pop()
        yield current
        try:
            threads = os.listdir(f"/proc/{current}/task")  # noqa: PTH208 -- polled, and quicker
        except OSError:
            continue
        for thread in threads:
            seen += 1
            try:
                pending += map(int, _read(f"/proc/{current}/task/{thread}/children").split())
            except (OSError, ValueError):
                continue


def _open_in(processes: list[int]) -> tuple[int, int]:
    """How many different sockets and pipes, and how many event queues, processes have open."""
    if sum(map(_count_descriptors, processes)) <= _FEW_DESCRIPTORS:
        return 0, 0
    channels: set[str] = set()
    queues = 0
    for process in processes:
        for name in _descriptors(process):
            try:
                what = os.readlink(f"/proc/{process}/fd/{name}")  # noqa: PTH115 -- polled
            except OSError:
                continue
            if what.startswith(("socket:", "pipe:")):
                channels.add(what)
            elif what == "anon_inode:[eventpoll]":
                queues += 1
    return len(channels), queues


def _count_descriptors(pid: int) -> int:
    try:
        # The directory's size is their number since Linux 6.2, and 0 before.
        return os.stat(f"/proc/{pid}/fd").st_size or len(_descriptors(pid))  # noqa: PTH116 -- polled
    except OSError:
        return 0


def _descriptors(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 -- polled
    except OSError:
        return []
