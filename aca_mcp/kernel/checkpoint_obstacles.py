"""Why a process cannot be copied now: what the copy would not have, or both of them would.

What is over is made to be over first: a child that has ended is waited for on behalf of the object
that stands for it, where it is of the standard library.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .helper_processes import Helpers
from .process import can_run, children_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class Obstacles:
    """Looks for them. Made before any code has run: what is open then is the process's own."""

    def __init__(self) -> None:
        self._own = _open_descriptors()
        self.helpers = Helpers()
        """That code has running now, and that are none."""

    def find(self, copies: set[int]) -> str:
        """The first of them, in a word; empty if there is none.

        Args:
            copies: of this process, which are siblings of it; those that ended are taken out.

        Raises:
            OSError: as many files are open as may be.
        """
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 -- after each execution
            return "threads"
        self.helpers = Helpers.that_run()
        # Those of another process that was ended just now may be ending still.
        siblings = children_of(os.getppid())
        copies &= siblings  # a number may be another's, in time
        orphans = siblings - copies - {os.getpid()} - self.helpers.pids
        children = children_of(os.getpid()) - self.helpers.pids
        if any(map(can_run, children | orphans)):
            return "programs"
        if children and not _all_waited_for(children):
            return "ended"
        held = _open_descriptors() - self._own
        return _held_in_common(number for number, _ in held if number not in self.helpers.ends)


def _open_descriptors() -> frozenset[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- as above
        with suppress(OSError):
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115
    return frozenset(found)


def _held_in_common(descriptors: Iterable[int]) -> str:
    """What of these a process and its copy cannot both have."""
    for number in descriptors:
        with suppress(OSError):
            kind = os.fstat(number).st_mode
            if stat.S_ISFIFO(kind) and not _leads_nowhere(number):
                return "pipes"
            if stat.S_ISSOCK(kind) and _is_connected(number) and not _leads_nowhere(number):
                return "connections"
            with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as info:  # noqa: PTH123
                if "lock:" in info.read():
                    return "locks"
    return ""


def _leads_nowhere(number: int) -> bool:
    """Whether the other end is closed and all is read, so that nothing can come of using it."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    happens = dict(poll.poll(0)).get(number, 0)
    is_closed = happens & (select.POLLHUP | select.POLLERR)
    return bool(is_closed) and not happens & select.POLLIN


def _is_connected(number: int) -> bool:
    """Whether a socket leads to somebody else, which a pair without names does not."""
    with socket.socket(fileno=os.dup(number)) as connection:
        try:
            return bool(connection.getpeername())
        except OSError:
            return False


def _all_waited_for(ended: set[int]) -> bool:
    """Have those of the standard library that stand for ended children wait for them.

    What they tell later is what they would have told. Of a child that only its number stands for,
    nobody but code can know that it is wanted no more.
    """
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.active_children()  # waits for those that have ended, as it says
    subprocess: Any = sys.modules.get("subprocess")
    if subprocess is not None and "asyncio.base_subprocess" not in sys.modules:
        for each in gc.get_objects():
            if type(each) is subprocess.Popen and each.pid in ended:
                each.poll()
        subprocess._cleanup()  # those whose object is gone
    return not children_of(os.getpid()) & ended
