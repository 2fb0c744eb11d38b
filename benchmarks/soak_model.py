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
TOLD = 50
"""Executions whose numbers a session keeps."""
_REMEMBERED = 1000
"""Executions that are known here: crashes can undo many, and what then is left must still be as
many as the session tells."""
_LATE_SECONDS = 30
"""After which a call that was given up has run, or never will."""

History = tuple[int, ...]
"""The numbers of the last executions whose effects are there, in their order."""


@dataclass(frozen=True)
class World:
    """One state that a session may be in."""

    history: History = ()
    pending: frozenset[int] = frozenset()
    """Executions that were given up and may run yet."""

    def after(self, number: int) -> World:
        """After an execution."""
        return World((*self.history, number)[-_REMEMBERED:], self.pending - {number})

    def futures(self) -> Iterator[World]:
        """This, and all in which some of what is pending has run."""
        yield self
        for number in self.pending:
            yield from self.after(number).futures()


@dataclass
class Model:
    """Of one session, whose code keeps the numbers of its executions, in their order."""

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

    def unseen(self, number: int) -> None:
        """An execution was asked for, and nobody knows whether and when it runs."""
        self._given_up[number] = time.monotonic()
        self.worlds = {replace(each, pending=each.pending | {number}) for each in self.worlds}

    def executed(self, text: str, number: int) -> bool:
        """Take what was told of an execution. False if it says that nothing ran."""
        self._let_pending_run()
        if _GONE_BEFORE in text or _NO_SESSION in text:
            self.lost += 1
            self.begin_anew()
        if _NO_SESSION in text or was_not_run(text):
            return False
        self.worlds = {world.after(number) for world in self.worlds}
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
        over = {number for number, since in self._given_up.items() if since < late}
        self.worlds = {future for world in self.worlds for future in world.futures()}
        self.worlds = {replace(each, pending=each.pending - over) for each in self.worlds}

    def told(self, history: History) -> bool:
        """Keep the worlds with that history. False if there is none."""
        kept = {world for world in self.worlds if world.history[-TOLD:] == history}
        # If there is none, the fault is counted once.
        self.worlds = kept or {World(history)}
        return bool(kept)

    @property
    def expected(self) -> list[History]:
        """What the history may be: its end."""
        return sorted({world.history[-5:] for world in self.worlds})


def was_ended(text: str) -> bool:
    """Whether it says that the code was ended, with the session or without."""
    return _GONE_NOW in text or _UNDONE.search(text) is not None


def was_not_run(text: str) -> bool:
    """Whether it says that nothing ran, and to come back."""
    return any(words in text for words in _NOT_RUN)


def is_gone(text: str) -> bool:
    """Whether it says that the session is gone."""
    return any(words in text for words in (_GONE_BEFORE, _GONE_NOW, _NO_SESSION))
