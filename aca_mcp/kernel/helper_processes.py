"""Programs that the standard library starts by itself, and starts anew when they are gone.

``multiprocessing`` leaves two behind for good: a resource tracker, which unlinks what nobody has
unlinked, and a fork server. Neither is the code's, nor keeps a process from being copied: a copy
that goes on has the tracker, which outlives the lost execution as files do, and no fork server,
which the next use starts. joblib has a tracker of its own, of the same make.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .process import can_run, children_of

_TRACKERS = (
    "multiprocessing.resource_tracker",
    "joblib.externals.loky.backend.resource_tracker",
    "loky.backend.resource_tracker",
)
_FORK_SERVER = "multiprocessing.forkserver"


@dataclass(frozen=True, slots=True)
class Helpers:
    """Those of a process that run now."""

    trackers: frozenset[int] = frozenset()
    """Process numbers."""
    servers: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()
    """Descriptors, of the pipes by whose closing they are told to end."""

    @property
    def pids(self) -> frozenset[int]:
        """Of all of them."""
        return self.trackers | self.servers

    @staticmethod
    def that_run() -> Helpers:
        """Find them. A fork server that has processes is none: those are the code's."""
        if sys.modules.keys().isdisjoint((*_TRACKERS, _FORK_SERVER)):
            return _NONE  # as mostly
        trackers: set[int] = set()
        servers: set[int] = set()
        ends: set[int] = set()
        for name in _TRACKERS:
            tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
            _note(tracker, "_pid", "_fd", trackers, ends)
        server = getattr(sys.modules.get(_FORK_SERVER), "_forkserver", None)
        pid = getattr(server, "_forkserver_pid", None)
        if not (isinstance(pid, int) and children_of(pid)):
            _note(server, "_forkserver_pid", "_forkserver_alive_fd", servers, ends)
        return Helpers(frozenset(trackers), frozenset(servers), frozenset(ends))

    def begin_without_servers(self) -> None:
        """Know, in a copy that goes on, that there is no fork server: the next use starts one."""
        if self.servers:
            server: Any = sys.modules[_FORK_SERVER]._forkserver
            with suppress(OSError):
                os.close(server._forkserver_alive_fd)
            server._forkserver_address = None
            server._forkserver_alive_fd = None
            server._forkserver_pid = None


def _note(helper: object, pid: str, end: str, pids: set[int], ends: set[int]) -> None:
    """Take down the process and the descriptor of one, if it runs."""
    number, descriptor = getattr(helper, pid, None), getattr(helper, end, None)
    if isinstance(number, int) and isinstance(descriptor, int) and can_run(number):
        pids.add(number)
        ends.add(descriptor)


_NONE = Helpers()
