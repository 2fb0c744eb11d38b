"""The first process of a session, which outlives the one that runs its code.

It is forked and contained, maybe long before anybody asks for a session, and then forks the process
that runs code. It tells the supervisor how that one ended, and on request ends everything in the
session but the checkpoint that goes on. In a PID namespace it is the first process there: code
cannot signal it, and with it everything ends. It has nothing of what code uses but its streams, and
is itself the session's first checkpoint: no code has run in it, so it can begin anew.

It speaks JSON, a message a packet, over a connection whose end the code's process and its
checkpoints have as well, to tell of checkpoints. So what comes from it, a supervisor must not
believe. Nobody can say anything *to* it over that end: what is sent there comes out at the
supervisor's. Code can take what is meant for it: then nothing is done, and the session ends for
want of an answer. With what begins anew it would take a control connection, as it had one before:
it would go on as this session's code, held as ever, and be believed no more than that.

* ``{"clear": n, "spare": [pid, ...]}`` ends all processes but those, answered with
  ``{"cleared": n}`` if it could;
* ``{"kernel": pid}`` says which process runs the code from now on;
* ``{"begin": true}``, with a control connection, has it fork a process to run code, where there is
  none, or none any more;
* ``{"ended": status, "used_up": bool}`` is told when that process has ended, and whether it was
  killed when it had used all the processor time that it had been allowed.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from aca_mcp.kernel.bare_fork import bare_fork
from aca_mcp.kernel.process import can_run, children_of
from aca_mcp.local.descriptor_passing import receive

if TYPE_CHECKING:
    import socket

_MAX_PACKET_BYTES = 4096
_KEPT_WAITING = frozenset(map(int, signal.valid_signals() - {signal.SIGCHLD}))
"""Signals: for ever, all but the one that tells of children."""
_CLEAR_SECONDS = 10.0
_STOP_SECONDS = 3.0
_SURELY_USED = 0.75
"""Of the processor time that a process was allowed. The kernel holds it to a count by samples, and
tells an exact one."""


def keep(channel: socket.socket, *, reaches_session_only: bool) -> int:
    """Be the first process of a session until the supervisor lets it go, which ends the session.

    Returns:
        In a process forked to run code alone: the descriptor of its control connection.

    Args:
        channel: to the supervisor.
        reaches_session_only: a signal of this process to all that it may signal is for nobody but
            the session: there is a PID namespace, or Landlock's scope of signals.
    """
    control = None
    try:
        control = Keeper(channel, reaches_session_only=reaches_session_only).run()
    finally:
        if control is None:
            os._exit(0)
    return control


class Keeper:
    """Waits for children to end, and for what the supervisor wants."""

    def __init__(self, channel: socket.socket, *, reaches_session_only: bool) -> None:
        self._reaches_session_only = reaches_session_only
        self._channel = channel
        self._kernel = 0
        """The child that runs code, if there is one."""
        self._waking, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._mask = signal.pthread_sigmask(signal.SIG_SETMASK, _KEPT_WAITING)
        self._handler = signal.signal(signal.SIGCHLD, _wake)
        signal.set_wakeup_fd(writer)

    def run(self) -> int | None:
        """Return None when the supervisor has closed its end.

        In a process forked to run code, return the descriptor of its control connection.
        """
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._waking, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._waking:
                    with suppress(BlockingIOError):  # code of the session may read here, too
                        os.read(self._waking, 4096)
                    self._reap()
                    continue
                packet, connections = receive(self._channel, _MAX_PACKET_BYTES, 1)
                if not packet:
                    return None
                message = json.loads(packet)
                if "begin" in message and self._begins():
                    return connections[0]
                for connection in connections:
                    os.close(connection)
                self._obey(message)

    def _begins(self) -> bool:
        """Fork a process to run code, unless there is one. True in that, as if nothing had been."""
        if self._kernel:
            return False
        try:
            self._kernel = bare_fork()
        except OSError:
            return False  # its connection is closed, which tells
        if self._kernel:
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        return True

    def _obey(self, message: dict[str, object]) -> None:
        match message:
            case {"clear": number, "spare": spare}:
                if self._clear(set(cast("list[int]", spare))):
                    self._tell({"cleared": number})
            case {"kernel": int(pid)}:
                self._kernel = pid
            case _:
                pass

    def _clear(self, spare: set[int]) -> bool:
        """End all but some of the session's processes. False if there is no end of them."""
        end = time.monotonic() + _CLEAR_SECONDS
        self._stop_all(spare)
        # What has much memory takes long to end; it is enough that it runs no more. But of the one
        # that ran code it must be told how it ended, before another takes its place.
        while (
            others := set(filter(can_run, _descendants(os.getpid()) - spare))
        ) or self._kernel not in {0, *spare}:
            for pid in others:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            if time.monotonic() > end:
                return False
            time.sleep(0.0005)
        for pid in spare:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGCONT)
        return True

    def _stop_all(self, spare: set[int]) -> None:
        """Let none of them make another, as a fork bomb does quicker than it can be ended."""
        if self._reaches_session_only:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGSTOP)
            return
        stopped = set(spare)
        end = time.monotonic() + _STOP_SECONDS
        while (others := _descendants(os.getpid()) - stopped) and time.monotonic() < end:
            for pid in others:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= others

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                allowed = _processor_seconds(ended.si_pid)  # as long as it can be read
                _, status, used = os.wait4(ended.si_pid, 0)
                if ended.si_pid == self._kernel:
                    self._kernel = 0
                    status = os.waitstatus_to_exitcode(status)
                    has_used_it = used.ru_utime + used.ru_stime >= allowed * _SURELY_USED
                    used_up = status == -signal.SIGKILL and has_used_it
                    self._tell({"ended": status, "used_up": used_up})

    def _tell(self, message: dict[str, object]) -> None:
        with suppress(OSError):
            self._channel.send(json.dumps(message).encode())


def _processor_seconds(pid: int) -> float:
    """What a process that has ended was allowed at the most."""
    with suppress(OSError), open(f"/proc/{pid}/limits", "rb") as file:  # noqa: PTH123 -- in a hurry
        for line in file:
            words = line.split()
            if line.startswith(b"Max cpu time") and words[4].isdigit():
                return int(words[4])
    return math.inf


def _wake(_number: int, _frame: object) -> None:
    """Python tells of a signal that has a handler."""


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    pending = [pid]
    while pending:
        children = children_of(pending.pop()) - found
        found |= children
        pending += children
    return found
