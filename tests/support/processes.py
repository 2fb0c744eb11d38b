"""Which processes there are, as the system tells it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Process(NamedTuple):
    """A process; one of the same number that came later has another time."""

    state: str
    parent: int
    started: str


def process_of(pid: int) -> Process | None:
    """What ``/proc/PID/stat`` says of a process; None if it has ended and was waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(fields[0], int(fields[1]), fields[19])


def descendants(pid: int | None = None, *, without: AbstractSet[int] = frozenset()) -> set[int]:
    """Every process that came from one and is there, those that ended left out.

    Args:
        pid: of whom; the process of the tests if None.
        without: neither these nor what came from them. The pool that tests share is below the
            process of the tests, too, and starts and ends processes whenever it likes: a test looks
            at what was there before its own pool, and leaves that out.
    """
    children = _children_of_all()
    below: set[int] = set()
    pending = [os.getpid() if pid is None else pid]
    while pending:
        new = children.get(pending.pop(), set[int]()) - without
        below |= new
        pending += new
    return below


def children(pid: int | None = None) -> set[int]:
    """The processes that one has started itself, and that are there."""
    return _children_of_all().get(os.getpid() if pid is None else pid, set())


def _children_of_all() -> dict[int, set[int]]:
    """By the parents of all processes.

    A list of children may lack some while others end (proc(5), ``/proc/pid/task/tid/children``),
    and who is missing in it could be taken for nobody's.
    """
    found: dict[int, set[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        process = process_of(child := int(directory.name))
        if process is not None and process.state != "Z":
            found.setdefault(process.parent, set()).add(child)
    return found
