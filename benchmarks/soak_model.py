"""What a client of the soak knows of its session: every state it may be in, and no other. Pure.

Nobody tells a client that gave up a call whether its code ran. So there are several worlds, each a
list of what ``n`` was after one execution after the other; what is told later leaves some of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_GONE_BEFORE = "The earlier session is gone"
_GONE_NOW = "[The session ended: "
_NO_SESSION = "The session of this handle has ended"
_UNDONE = re.compile(r"ariables are as they were before (?:it|the last (\d+) executions);")
_NOT_RUN = ("are in use", "as many as one may have", "Retry-After", "still runs")
_REMEMBERED = 300
"""Executions; a server remembers 256 to be undone."""

World = tuple[int, ...]


@dataclass
class Model:
    """Of one session."""

    worlds: set[World] = field(default_factory=lambda: {()})
    files: dict[str, str] = field(default_factory=dict[str, str])
    lost: int = 0
    """Sessions, and it was said."""
    undone: int = 0
    """Executions by a crash, and it was said."""

    def begin_anew(self) -> None:
        """There is another session, or none."""
        self.worlds = {()}
        self.files.clear()

    def unseen(self, *, adds: int) -> None:
        """An execution was asked for, and nobody knows whether it ran."""
        self.worlds |= {_after(world, adds) for world in self.worlds}

    def executed(self, text: str, *, adds: int = 0) -> bool:
        """Take what was told of an execution. False if it says that nothing ran."""
        if _GONE_BEFORE in text or _NO_SESSION in text:
            self.lost += 1
            self.begin_anew()
        if _NO_SESSION in text or was_not_run(text):
            return False
        self.worlds = {_after(world, adds) for world in self.worlds}
        if _GONE_NOW in text:
            self.lost += 1
            self.begin_anew()
        elif (found := _UNDONE.search(text)) is not None:
            steps = int(found[1] or 1)
            self.undone += steps
            self.worlds = {world[:-steps] for world in self.worlds}
        return True

    def counted(self, told: int) -> bool:
        """Keep the worlds in which ``n`` is that. False if there is none."""
        kept = {world for world in self.worlds if world and world[-1] == told}
        if not kept:
            self.worlds = {(told,)}  # so that the fault is counted once
            return False
        self.worlds = kept
        return True

    @property
    def expected(self) -> list[int]:
        """What ``n`` may be."""
        return sorted({world[-1] if world else 0 for world in self.worlds})


def was_ended(text: str) -> bool:
    """Whether it says that the code was ended, with the session or without."""
    return _GONE_NOW in text or _UNDONE.search(text) is not None


def was_not_run(text: str) -> bool:
    """Whether it says that nothing ran, and to come back."""
    return any(words in text for words in _NOT_RUN)


def is_gone(text: str) -> bool:
    """Whether it says that the session is gone."""
    return any(words in text for words in (_GONE_BEFORE, _GONE_NOW, _NO_SESSION))


def _after(world: World, adds: int) -> World:
    return (*world, (world[-1] if world else 0) + adds)[-_REMEMBERED:]
