"""Copies of a session's process that wait, each to go on from where it was made.

A fork of a process with one thread is a copy of everything in it, and shares its memory until one
of the two writes. So after an execution the process forks a copy that stops at once; if the process
is lost later, the copy is told to go on, with the variables as they were. Before the first
execution there is nothing to copy: a session begins anew in a process that has run no code.

What the process goes on to write to is copied then, a page at a time. So pages that one execution
after the other writes to are copied when nobody waits. Memory that both have is there twice; where
nobody calls for a while, the copy is made again, and all is shared.

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
import time
from array import array
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from .bare_fork import bare_fork, tell_python_of_fork
from .checkpoint_obstacles import Obstacles
from .memory_pages import Pages, own_pages, write_ahead
from .message_framing import Frame, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

IDLE_SECONDS = 0.2
"""Without a request, before a copy is made: whoever calls again at once does not wait for it."""
STALE_SECONDS = 5.0
"""In a session that is never idle, the time after which there is a copy all the same."""
FIRST_PAUSE_SECONDS = 0.25
"""Before a copy that could not be made is tried again; each further pause is twice as long."""
SHARE_AGAIN_SECONDS = 20.0
"""Without a request, before a copy is made again of a process that has pages copied ahead: most
models and people call again sooner, if they do."""
_MOST_WRITTEN = 2**13
"""Pages: who has written to more has done much else than each execution does."""
_MOST_PAGES_AHEAD = 1024
"""Where executions write to more, to wait for these would hardly matter."""
_MOST_REFUSALS = 14
"""Of one copy: the last after more than an hour."""
_ANSWER_SECONDS = 5
"""For a copy to say that it waits."""
_ALL_SIGNALS = frozenset(map(int, signal.valid_signals()))

RUNNING = encode(Frame({"running": True}))
"""What a process says on its control connection when it runs a session's code from now on."""


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
        self._obstacles = Obstacles()
        self._copies: set[int] = set()
        self._is_due = False
        self._refusals = 0
        """One after the other, of the copy that is due."""
        self._obstacle = ""
        """For which it was refused last."""
        self._again_at: float | None = None
        """Before which there is none: its turn has not come, or it was refused."""
        self._written = Pages()
        """Pages of memory that were, between two copies, until it is known which to copy ahead."""
        self._ahead = array("Q")
        """Pages that are copied ahead after each copy: what executions write to changes little."""
        self._share_again_at: float | None = None
        self._due_since = self._executed_at = 0.0
        self._is_crowded = False
        """Many sessions are in use: each is copied seldom, and memory is worth more."""
        self._number: object = 0

    def executed(self, number: object, not_before: float) -> None:
        """Say that variables may have changed.

        Args:
            number: of the request by which.
            not_before: when there may be a copy, by ``time.monotonic``.
        """
        now = time.monotonic()
        if not self._is_due or self._refusals:
            self._is_due, self._due_since = True, now
            self._refusals, self._obstacle = 0, ""
        self._number, self._executed_at = number, now
        self._is_crowded = not_before > now
        self._again_at = not_before if self._is_crowded else None

    @property
    def pause(self) -> float | None:
        """Seconds until ``settle`` is to try again, though nobody calls; None if it need not."""
        at = self._again_at if self._is_due else self._share_again_at
        return None if at is None else max(at - time.monotonic(), 0.0)

    def settle(self, *, busy: str = "") -> bool:
        """Make a copy if one is due and nobody calls. True in the copy, once it goes on.

        Args:
            busy: what goes on in the process, for which there can be none; empty for nothing.
        """
        try:
            if not self._is_time():
                return False
            obstacle = busy or self._obstacles.find(self._copies)
        except OSError:  # code has all the files open that it may
            obstacle = "files"
        if obstacle:
            self._refuse(obstacle)
            return False
        # A handler that raises in between would leave half a copy.
        masked = signal.pthread_sigmask(signal.SIG_SETMASK, _ALL_SIGNALS)
        try:
            return self._copy()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _is_time(self) -> bool:
        """Whether to make a copy now: a new one, or the last one again.

        Raises:
            OSError: it cannot be told whether somebody calls.
        """
        now = time.monotonic()
        if not self._is_due:
            at = self._share_again_at
            return at is not None and now >= at and not _is_readable(self._control, 0)
        if self._again_at is not None:
            if now < self._again_at:
                return False
            self._again_at = None
        if now - self._due_since >= STALE_SECONDS:
            return True
        return not _is_readable(self._control, max(self._executed_at + IDLE_SECONDS - now, 0.0))

    def _refuse(self, obstacle: str) -> None:
        """Make no copy now. What is in the way may go by itself, and is looked for again."""
        if not self._is_due:
            self._share_again_at = None  # the one there is will do
            return
        if obstacle != self._obstacle:
            self._tell({"none": obstacle, "after": self._number})
            self._obstacle = obstacle
        self._again_at = time.monotonic() + FIRST_PAUSE_SECONDS * 2**self._refusals
        self._refusals += 1
        self._is_due = self._refusals <= _MOST_REFUSALS

    def _learn_what_is_written_to(self) -> None:
        """Find the pages that two executions, one after the other, have written to."""
        before, self._written = self._written, own_pages(_MOST_WRITTEN)
        both = before & self._written
        if both and len(both) <= _MOST_PAGES_AHEAD:
            self._ahead, self._written = array("Q", chain.from_iterable(both.runs())), Pages()

    def _copy(self) -> bool:
        # One that is made again is there to share all.
        copies_ahead = self._is_due and not self._is_crowded
        if copies_ahead and not self._ahead:
            self._learn_what_is_written_to()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self._refuse("room")
            return False
        between = _fork()
        if between == 0:
            ours.close()
            # The copy is to be a child of this process's parent: code that waits for its children
            # never meets it.
            if _fork():
                os._exit(0)
            self._become_copy(theirs)
            return True
        theirs.close()
        with ours:
            pid = 0
            if between > 0:
                pid = _answer_of(ours)
                _end(between)
            if not pid:
                self._refuse("room")
                return False
            self._copies.add(pid)
            self._is_due, self._refusals = False, 0
            helpers = sorted(self._obstacles.helpers.trackers)
            told = {"checkpoint": pid, "after": self._number, "helpers": helpers}
            self._tell(told, [ours.fileno()])
        self._share_again_at = None
        if copies_ahead and self._ahead:
            write_ahead(self._ahead)
            self._share_again_at = time.monotonic() + SHARE_AGAIN_SECONDS
        return False

    def _become_copy(self, connection: socket.socket) -> None:
        """Wait to go on; whoever is not wanted any more ends."""
        # Code that ends all of its group, with which programs it has started, does not end this.
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
        tell_python_of_fork(keeps_random=True)
        os.setpgid(0, group)
        # What was sent to the whole group while this waited was for the one that is gone.
        while signal.sigtimedwait(_ALL_SIGNALS, 0) is not None:
            pass
        self._obstacles.helpers.begin_without_servers()
        self._control.sendall(RUNNING)
        self._written, self._ahead = Pages(), array("Q")
        self._share_again_at = None
        self._is_due, self._due_since = True, 0.0  # at once: what has happened may happen again
        self._refusals, self._obstacle, self._again_at = 0, "", None

    def _tell(self, message: dict[str, object], descriptors: Iterable[int] = ()) -> None:
        with suppress(OSError):  # then there is none that the supervisor knows of
            socket.send_fds(self._channel, [json.dumps(message).encode()], list(descriptors))


def _fork() -> int:
    """As ``os.fork``, but -1 where there can be no more processes."""
    try:
        return bare_fork()
    except OSError:
        return -1


def _answer_of(copy: socket.socket) -> int:
    """The number of a copy that waits; 0 if it has ended, or somebody has stopped it."""
    if not _is_readable(copy, _ANSWER_SECONDS):
        return 0
    return int.from_bytes(copy.recv(4), "little")


def _end(child: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):  # code has waited for all its children
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
