"""Copies of a session's process that wait, each to go on from where it was made.

A fork of a process with one thread is a copy of everything in it, and shares its memory until one
of the two writes. So after an execution the process forks a copy that stops at once; if the process
is lost later, the copy is told to go on, with the variables as they were. Before the first
execution there is nothing to copy: a session begins anew in a process that has run no code.

A copy is made only where it would be a true one: not beside threads, programs that code has
started, connections, or what the process would give up and the copy still hold (pipes, locks).
It holds no descriptor that anybody waits for: its control connection is one of its own, whose other
end goes to the supervisor. When that end is closed, the copy ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .bare_fork import bare_fork, tell_python_of_fork
from .frames import Frame, encode
from .process import can_run

if TYPE_CHECKING:
    from collections.abc import Iterable

IDLE_SECONDS = 0.2
"""Without a request, before a copy is made: whoever calls again at once does not wait for it."""
STALE_SECONDS = 5.0
"""In a session that is never idle, the time after which there is a copy all the same."""

RESUMED = encode(Frame({"resumed": True}))
"""What a process says on its control connection when it has taken another one's place."""


class Checkpoints:
    """Makes copies of this process, in time."""

    def __init__(self, control: socket.socket, channel: socket.socket) -> None:
        """Begin when the process has all that belongs to every session, and no code has run.

        Args:
            control: where requests come from. A copy has another connection by the same number.
            channel: where the supervisor is told of copies.
        """
        self._control = control
        self._channel = channel
        self._own = _open_descriptors()
        self._copies: set[int] = set()
        self._is_due = False
        self._due_since = 0.0
        self._patience = 1.0
        self._number: object = 0

    def executed(self, number: object, patience: float) -> None:
        """Say that variables may have changed.

        Args:
            number: of the request by which.
            patience: how many times longer than usual to wait before there is a copy.
        """
        if not self._is_due:
            self._is_due, self._due_since = True, time.monotonic()
        self._number, self._patience = number, patience

    def settle(self, *, busy: str = "") -> bool:
        """Make a copy if one is due and nobody calls. True in the copy, once it goes on.

        Args:
            busy: what goes on in the process, for which there can be none; empty for nothing.
        """
        if not self._is_due:
            return False
        waited = time.monotonic() - self._due_since
        try:
            if waited < STALE_SECONDS * self._patience and _is_readable(
                self._control, IDLE_SECONDS * self._patience
            ):
                return False
            obstacle = busy or self._obstacle()
        except OSError:  # code has all the files open that it may
            obstacle = "files"
        self._is_due = False
        if obstacle:
            self._tell({"none": obstacle, "after": self._number})
            return False
        # A handler that raises in between would leave half a copy.
        masked = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            return self._copy()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _copy(self) -> bool:
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self._tell({"none": "room", "after": self._number})
            return False
        try:
            between = bare_fork()
        except OSError:
            between = -1
        if between == 0:
            ours.close()
            self._become_copy(theirs)
            return True
        theirs.close()
        with ours:
            pid = int.from_bytes(ours.recv(4), "little") if between > 0 else 0
            with suppress(ChildProcessError):
                if between > 0:
                    os.waitpid(between, 0)
            if not pid:
                self._tell({"none": "room", "after": self._number})
                return False
            self._copies.add(pid)
            self._tell({"checkpoint": pid, "after": self._number}, [ours.fileno()])
        return False

    def _become_copy(self, connection: socket.socket) -> None:
        """Wait to go on; whoever is not wanted any more ends."""
        # A child of this process's parent: code that waits for its children never meets it.
        if _fork_or_exit():
            os._exit(0)
        # Nor does code that ends all of its group, with which programs it has started.
        group = os.getpgrp()
        os.setpgid(0, 0)
        os.dup2(connection.fileno(), self._control.fileno(), inheritable=False)
        connection.close()
        self._control.setblocking(True)
        self._control.sendall(os.getpid().to_bytes(4, "little"))
        try:
            told = self._control.recv(1)
        except OSError:
            told = b""
        if not told:
            os._exit(0)
        tell_python_of_fork()
        os.setpgid(0, group)
        # What was sent to the whole group while this waited was for the one that is gone.
        while signal.sigtimedwait(signal.valid_signals(), 0) is not None:
            pass
        self._control.sendall(RESUMED)
        self._is_due, self._due_since = True, 0.0  # at once: what has happened may happen again

    def _obstacle(self) -> str:
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 -- after each execution
            return "threads"
        # Those of another process that was ended just now may be ending still.
        orphans = _children(os.getppid()) - self._copies - {os.getpid()}
        if _children(os.getpid()) or any(map(can_run, orphans)):
            return "programs"
        return _held_in_common(_open_descriptors() - self._own)

    def _tell(self, message: dict[str, object], descriptors: Iterable[int] = ()) -> None:
        with suppress(OSError):  # then there is none that the supervisor knows of
            socket.send_fds(self._channel, [json.dumps(message).encode()], list(descriptors))


def _fork_or_exit() -> int:
    try:
        return bare_fork()
    except OSError:
        os._exit(1)


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _open_descriptors() -> frozenset[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- as above
        with suppress(OSError):
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115
    return frozenset(found)


def _held_in_common(descriptors: Iterable[tuple[int, str]]) -> str:
    """What of these a process and its copy cannot both have."""
    for number, _ in descriptors:
        with suppress(OSError):
            kind = os.fstat(number).st_mode
            if stat.S_ISFIFO(kind):
                return "pipes"
            if stat.S_ISSOCK(kind) and _is_connected(number):
                return "connections"
            with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as info:  # noqa: PTH123
                if "lock:" in info.read():
                    return "locks"
    return ""


def _is_connected(number: int) -> bool:
    """Whether a socket leads to somebody else, which a pair without names does not."""
    with socket.socket(fileno=os.dup(number)) as connection:
        try:
            return bool(connection.getpeername())
        except OSError:
            return False


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 -- as above
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123
                found |= set(map(int, file.read().split()))
    return found
