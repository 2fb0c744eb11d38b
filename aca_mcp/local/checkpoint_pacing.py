"""How long sessions wait before they make a checkpoint, by how many are in use at once. Pure.

A copy of a process takes some milliseconds of a processor, and so does the next execution, which
writes to memory that the two share. One session in use does not feel that; of two hundred, each
called once a second, the copies alone would take more than two processors have.
"""

from __future__ import annotations

from collections import OrderedDict

_IN_USE_SECONDS = 2.0
"""Since its last execution, for which a session counts as in use."""
_AT_ONCE = 5
"""Sessions in use for each processor, up to which nobody waits longer."""


class CheckpointPacing:
    """Tells it to each execution.

    Args:
        processors: of this machine.
    """

    def __init__(self, processors: int) -> None:
        self._most = _AT_ONCE * processors
        self._used: OrderedDict[str, float] = OrderedDict()
        """Identifier to the time of its last execution, the oldest first."""

    def begins(self, identifier: str, now: float) -> float:
        """An execution begins: how many times longer than usual its session is to wait."""
        self._used[identifier] = now
        self._used.move_to_end(identifier)
        while next(iter(self._used.values())) < now - _IN_USE_SECONDS:
            self._used.popitem(last=False)
        return max(1.0, len(self._used) / self._most)
