"""What a descriptor of a process (pidfd_open(2)) tells of it."""

from __future__ import annotations

import os
import select

import anyio


def has_ended(process: int) -> bool:
    """Whether the process behind a pidfd has ended."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(0))


async def wait_ended(process: int) -> None:
    """Wait until the process behind a pidfd has ended."""
    await anyio.wait_readable(process)


def pid_behind(process: int) -> int:
    """The number, in our own PID namespace, of the process behind a pidfd.

    Raises:
        ProcessLookupError: it has ended and been waited for.
    """
    descriptor = os.open(f"/proc/self/fdinfo/{process}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 4096).decode("ascii")
    finally:
        os.close(descriptor)
    for line in text.splitlines():
        if line.startswith("Pid:"):
            pid = int(line.removeprefix("Pid:"))
            if pid > 0:
                return pid
    raise ProcessLookupError("the process has ended")
