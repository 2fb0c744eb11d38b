"""What a client of the soak knows of its session: every state it may be in, and no other. Pure.

Nobody tells a client that gave up a call whether its code ran, or when: a busy server may read the
next call before it. So there are several worlds; what is told later leaves some of them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GONE_BEFORE = "The earlier session is gone"
_GONE_NOW = "[The session ended: "
_NO_SESSION = "The session of this handle has ended"
_UNDONE = re.compile(r"ariables are as they were before (?:it|the last (\d+) executions);")
_NOT_RUN = ("are in use", "as many as one may have", "Retry-After", "still runs")
_REMEMBERED = 300
"""Executions; a server remembers 256 to be undone."""

_LATE_SECONDS = 30
"""After which a call that was given up has run, or never will."""


@dataclass(frozen=True)
class World:
    """One state that a session may be in."""

    history: tuple[int, ...] = ()
    """What ``n`` was after each execution."""
    pending: tuple[tuple[int, int], ...] = ()
    """Executions that were given up and may run yet, each a number and what it adds to ``n``."""

    @property
    def n(self) -> int:
        """What it is; 0 if it is not there."""
        return self.history[-1] if self.history else 0

    def after(self, adds: int) -> World:
        """After an execution."""
        return replace(self, history=(*self.history, self.n + adds)[-_REMEMBERED:])

    def futures(self) -> Iterator[World]:
        """This, and all in which some of what is pending has run."""
        yield self
        for place, (_, adds) in enumerate(self.pending):
            rest = (*self.pending[:place], *self.pending[place + 1 :])
            yield from replace(self, pending=rest).after(adds).futures()


@dataclass
class Model:
    """Of one session."""

    worlds: set[World] = field(default_factory=lambda: {World()})
    files: dict[str, str] = field(default_factory=dict[str, str])
    lost: int = 0
    """Sessions, and it was said."""
    undone: int = 0
    """Executions by a crash, and it was said."""
    _given_up: dict[int, float] = field(default_factory=dict[int, float])
    """When each was that is pending."""

    def begin_anew(self) -> None:
        """There is another session, or none."""
        self.worlds = {World((), world.pending) for world in self.worlds}
        self.files.clear()

    def unseen(self, *, adds: int) -> None:
        """An execution was asked for, and nobody knows whether and when it runs."""
        number = len(self._given_up)
        self._given_up[number] = time.monotonic()
        self.worlds = {
            replace(world, pending=(*world.pending, (number, adds))) for world in self.worlds
        }

    def executed(self, text: str, *, adds: int = 0) -> bool:
        """Take what was told of an execution. False if it says that nothing ran."""
        self._let_pending_run()
        if _GONE_BEFORE in text or _NO_SESSION in text:
            self.lost += 1
            self.begin_anew()
        if _NO_SESSION in text or was_not_run(text):
            return False
        self.worlds = {world.after(adds) for world in self.worlds}
        if _GONE_NOW in text:
            self.lost += 1
            self.begin_anew()
        elif (found := _UNDONE.search(text)) is not None:
            steps = int(found[1] or 1)
            self.undone += steps
            self.worlds = {replace(each, history=each.history[:-steps]) for each in self.worlds}
        return True

    def _let_pending_run(self) -> None:
        late = time.monotonic() - _LATE_SECONDS
        for world in self.worlds.copy():
            self.worlds.update(world.futures())
        self.worlds = {
            replace(
                world, pending=tuple(one for one in world.pending if self._given_up[one[0]] > late)
            )
            for world in self.worlds
        }

    def counted(self, told: int) -> bool:
        """Keep the worlds in which ``n`` is that. False if there is none."""
        kept = {world for world in self.worlds if world.n == told}
        if not kept:
            self.worlds = {World((told,))}  # so that the fault is counted once
            return False
        self.worlds = kept
        return True

    @property
    def expected(self) -> list[int]:
        """What ``n`` may be."""
        return sorted({world.n for world in self.worlds})


def was_ended(text: str) -> bool:
    """Whether it says that the code was ended, with the session or without."""
    return _GONE_NOW in text or _UNDONE.search(text) is not None


def was_not_run(text: str) -> bool:
    """Whether it says that nothing ran, and to come back."""
    return any(words in text for words in _NOT_RUN)


def is_gone(text: str) -> bool:
    """Whether it says that the session is gone."""
    return any(words in text for words in (_GONE_BEFORE, _GONE_NOW, _NO_SESSION))
