"""Whether a session has lost what its user put there: the one place that decides it. Pure.

A pool tells facts: whether a piece of code began in a new session, and why the session before ended
where it knows. Whether anything was lost by that depends on what the user has seen of the session
before, which this remembers.
"""

from __future__ import annotations

UNEXPLAINED = "the session pool ended it and did not say why"


class HeldState:
    """What the user of a session believes to be in it.

    A session is replaced by another when its user restarts or releases it. What concerns one that
    was replaced meanwhile says nothing of its successor, so uses are told apart by a number.
    """

    def __init__(self, *, exists: bool = False) -> None:
        """Begin with a session that nobody has used, or with one that exists already."""
        self._number = 0
        self._exists = exists
        self._released: str | None = None

    def enter(self) -> int:
        """The number of the session that a use is of, for when that ends."""
        return self._number

    def is_current(self, number: int) -> bool:
        """Whether the session has not been replaced since."""
        return number == self._number

    def seen(self, number: int) -> None:
        """The session was there: whoever finds a new one later has lost this one."""
        self._exists = self._exists or self.is_current(number)

    def ran(self, number: int, *, in_new_session: bool, why_ended: str | None) -> str | None:
        """Code has run: what is to be said of a loss before it, as a clause, or None.

        Args:
            number: of the use.
            in_new_session: the pool started a session for this code.
            why_ended: why the session before ended, where the pool knows.
        """
        if not self.is_current(number):
            return why_ended
        released, existed = self._released, self._exists
        self._exists, self._released = True, None
        if existed and (in_new_session or released):
            return released or why_ended or UNEXPLAINED
        return why_ended

    def restart(self) -> None:
        """The user replaces the session, and knows that it is empty."""
        self._number += 1
        self._exists, self._released = False, None

    def release(self, why: str) -> None:
        """The session is replaced while its user is away, who is to be told."""
        self._number += 1
        if self._exists:
            self._released = why
