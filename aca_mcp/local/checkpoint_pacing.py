"""When sessions may make a checkpoint, so that copies take no more of the processors than they may.

A copy of a process takes some milliseconds of a processor, and so does the next execution, which
writes to memory that the two share. One session in use does not feel that; of two hundred, each
called once a second, the copies alone would take more than two processors have. Pure.
"""

from __future__ import annotations

_COPIES_A_SECOND = 1.0
"""For each processor, of which each copy takes some fifteen milliseconds."""
_AT_ONCE = 5
"""Further ones for each processor, after a time without any."""
_HELD_SECONDS = 0.25
"""For which a turn that has come is still its session's: who is called again at once waits."""


class CheckpointPacing:
    """Gives each session that runs code a turn to be copied, by the generic cell rate algorithm.

    Args:
        processors: of this machine.
    """

    def __init__(self, processors: int) -> None:
        self._apart = 1 / (_COPIES_A_SECOND * processors)
        self._ahead = _AT_ONCE * processors * self._apart
        self._next = 0.0
        """The time of the next turn, if none came before its time."""
        self._turns: dict[str, float] = {}
        """Identifier to the time of its turn, the first one first."""

    def begins(self, identifier: str, now: float) -> float:
        """An execution begins: in how many seconds its session may be copied, at the earliest."""
        over = now - _HELD_SECONDS
        while self._turns and self._turns[earliest := next(iter(self._turns))] < over:
            del self._turns[earliest]
        if identifier not in self._turns:
            self._next = max(self._next, now) + self._apart
            self._turns[identifier] = max(now, self._next - self._ahead)
        return max(0.0, self._turns[identifier] - now)
