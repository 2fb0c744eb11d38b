"""Control groups: the kernel's own hold on all that a session runs, together, where we may.

Few users may make one: root, in a container or out of it, and services to which the service
manager has delegated a group. Elsewhere there is none, and the pool's watcher and the resource
limits hold a session alone. Blocking, for worker threads.

A session's files lie in memory, so they count here; the limits leave room for them.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PREFIX = "aca-mcp-"


class _Controller(NamedTuple):
    """A directory in which groups can be made, and the file names of one cgroup version."""

    parent: Path
    entrance: str
    """Of a group: what a process writes to that goes into it."""
    limits: dict[str, str]
    """File name to what it limits: ``memory``, ``processes`` or ``share``."""


class GroupLimits(NamedTuple):
    """What one session may have at once."""

    memory: int
    """Bytes, files in memory included."""
    processes: int
    """Threads included."""


_SHARES = {"cpu.weight": 50, "cpu.shares": 512}
"""Of processor time, by the file of each cgroup version: half of what a program of the user has.
The same for all sessions, however many processes are in one."""
_KILLS = {"memory.events": "oom_kill", "memory.oom_control": "oom_kill"}
"""Where each version counts the processes that it killed for want of memory."""


_REMOVE_SECONDS = 5
_PAUSE_SECONDS = 0.005


class SessionGroup:
    """The control group of one session."""

    def __init__(
        self,
        entrances: tuple[Path, ...],
        on_removed: Callable[[SessionGroup], None] = lambda _: None,
    ) -> None:
        self.entrances = entrances
        """A file of each of its directories. A process that writes ``0`` to each is in the group,
        with all that it starts later. Whether it may is asked of who opened the file."""
        self._directories = tuple(entrance.parent for entrance in entrances)
        self._on_removed = on_removed
        self._killed = 0
        self.is_left = False
        """Its removal was tried, and it was not empty yet."""

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended processes in it because they used more than they may.

        Since this was asked before, or else since it was made.
        """
        before, self._killed = self._killed, self._count_killed()
        return self._killed > before

    def _count_killed(self) -> int:
        total = 0
        for directory in self._directories:
            for file, field in _KILLS.items():
                with suppress(OSError):
                    for line in _read(directory / file).splitlines():
                        name, _, count = line.partition(" ")
                        total += int(count) if name == field else 0
        return total

    def remove(self, end: float | None = None) -> None:
        """Remove it, once its processes have ended.

        They belong to it for a moment longer than they can be waited for, so this tries again.

        Args:
            end: until when, in seconds of the monotonic clock; some seconds from now if None.
        """
        end = time.monotonic() + _REMOVE_SECONDS if end is None else end
        busy = list(self._directories)
        while busy := [each for each in busy if _is_busy(each)]:
            if time.monotonic() > end:
                self.is_left = True
                return
            time.sleep(_PAUSE_SECONDS)
        self._on_removed(self)


class Groups:
    """Makes groups; made by ``find_groups``, for hosts that allow it."""

    def __init__(self, controllers: tuple[_Controller, ...]) -> None:
        self._controllers = controllers
        self.divide_time = any("share" in each.limits.values() for each in controllers)
        """Whether each session has one share of processor time."""
        self._made: set[SessionGroup] = set()

    def create(self, limits: GroupLimits) -> SessionGroup:
        """Make a group.

        Raises:
            OSError: the kernel refused.
        """
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        made: list[Path] = []
        group = SessionGroup(())
        try:
            for controller in self._controllers:
                directory = controller.parent / name
                directory.mkdir()
                made.append(directory / controller.entrance)
                group = SessionGroup(tuple(made), self._made.discard)
                for file, what in controller.limits.items():
                    values = {"memory": limits.memory, "processes": limits.processes}
                    _write(directory / file, str(values.get(what) or _SHARES[file]))
        except OSError:
            group.remove()
            raise
        self._made.add(group)
        return group

    @property
    def are_left(self) -> bool:
        """Whether some were not empty when their session was freed."""
        return any(group.is_left for group in tuple(self._made))

    def remove_left(self) -> None:
        """Try once more to remove those."""
        for group in tuple(self._made):
            if group.is_left:
                group.remove(0)

    def remove_all(self) -> None:
        """Remove all that there are, at the end of their pool."""
        end = time.monotonic() + _REMOVE_SECONDS
        for group in tuple(self._made):
            group.remove(end)


def find_groups(
    mount: Path = Path("/sys/fs/cgroup"), paths: Mapping[str, str] | None = None
) -> Groups | None:
    """Where groups can be made on this host, found by making one; None if nowhere.

    Removes those that a server of ours left behind when it was killed.

    Args:
        mount: where the hierarchies are.
        paths: our group's in that of each controller; the unified one's name is empty.
    """
    paths = _own_paths() if paths is None else paths
    controllers = _delegated(mount, paths) or _version_1(mount, paths)
    if not controllers:
        return None
    for controller in controllers:
        _remove_stale(controller.parent)
    groups = Groups(controllers)
    try:
        groups.create(GroupLimits(memory=2**30, processes=64)).remove()
    except OSError:
        return None
    return groups


def _delegated(mount: Path, paths: Mapping[str, str]) -> tuple[_Controller, ...]:
    """The group above ours, where the service manager delegated it and put us below.

    A group with processes in it cannot have controlled groups below it (cgroups(7), "no internal
    processes"), so ours will not do.
    """
    own = paths.get("", "/")
    if own == "/":
        return ()
    unified = mount / "unified"
    parent = ((unified if unified.is_dir() else mount) / own.lstrip("/")).parent
    with suppress(OSError):
        available = _read(parent / "cgroup.controllers").split()
        if {"memory", "pids"} <= set(available) and not _read(parent / "cgroup.procs").strip():
            limits = {"memory.max": "memory", "pids.max": "processes"}
            _write(parent / "cgroup.subtree_control", "+memory +pids")
            with suppress(OSError):
                if "cpu" in available:
                    _write(parent / "cgroup.subtree_control", "+cpu")
                    limits["cpu.weight"] = "share"
            return (_Controller(parent, "cgroup.procs", limits),)
    return ()


def _version_1(mount: Path, paths: Mapping[str, str]) -> tuple[_Controller, ...]:
    found: list[_Controller] = []
    for kind, file, what in (
        ("memory", "memory.limit_in_bytes", "memory"),
        ("pids", "pids.max", "processes"),
        ("cpu", "cpu.shares", "share"),
    ):
        own = paths.get(kind)
        directory = mount / kind / str(own or "").lstrip("/")
        if own is not None and directory.is_dir() and os.access(directory, os.W_OK):
            # A single thread changes its group without waiting for others, as a process must.
            found.append(_Controller(directory, "tasks", {file: what}))
    return tuple(found)


def _own_paths() -> dict[str, str]:
    lines = (line.split(":", 2) for line in _read(Path("/proc/self/cgroup")).splitlines())
    return {name: path for _, names, path in lines for name in names.split(",")}


def _remove_stale(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*-*"):
        owner = directory.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            _is_busy(directory)


def _is_busy(directory: Path) -> bool:
    """Remove a group; whether it cannot be yet, for processes are in it."""
    try:
        directory.rmdir()
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")
