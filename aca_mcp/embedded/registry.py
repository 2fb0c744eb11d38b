"""Which sessions there are, and what becomes of them: the state machine of the local pool.

Everything that affects it is in here; nothing in here waits, reads a clock or touches a process.
Methods take the time in seconds of one monotonic clock, change the state, and say what the caller
must do.

A session is ``STARTING`` until its process is there, then ``OPEN``, and gone when it is ended.
Why it ended is remembered for a while, so that whoever uses the identifier next can be told.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from aca_mcp.bounded_mapping import BoundedMapping


class SessionState(enum.Enum):
    """Where a session is in its life."""

    STARTING = enum.auto()
    OPEN = enum.auto()


class Admission(enum.Enum):
    """What to do with a request for an identifier."""

    USE = enum.auto()
    """The session is there, or somebody is starting it."""
    START = enum.auto()
    """The caller must start it, and then call ``started`` or ``ended``."""
    FULL = enum.auto()
    """There are as many sessions as there may be."""


@dataclass(slots=True)
class SessionRecord:
    """What the registry knows of one session."""

    state: SessionState
    last_used_at: float
    users: int = 0
    """Operations under way: a session in use does not expire."""
    lost_before: str | None = None
    """Why the session that had this identifier before is gone, until somebody was told."""


class Registry:
    """The sessions of one pool, by identifier.

    Args:
        max_sessions: how many there may be at once.
        cooldown_seconds: idle time after which a session is to be ended.
        remembered_losses: how many sessions that ended can still be told of.
    """

    def __init__(
        self, *, max_sessions: int, cooldown_seconds: float, remembered_losses: int = 4096
    ) -> None:
        self.max_sessions = max_sessions
        self.cooldown_seconds = cooldown_seconds
        self._records: dict[str, SessionRecord] = {}
        self._losses: BoundedMapping[str, str] = BoundedMapping(remembered_losses)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        starting = sum(r.state is SessionState.STARTING for r in self._records.values())
        used = sum(r.users > 0 for r in self._records.values())
        return f"<Registry {len(self)} sessions: {starting} starting, {used} in use>"

    def get(self, identifier: str) -> SessionRecord | None:
        """The record of a session, if there is one."""
        return self._records.get(identifier)

    def admit(self, identifier: str, now: float) -> Admission:
        """Decide on a request for an identifier."""
        if identifier in self._records:
            return Admission.USE
        if len(self._records) >= self.max_sessions:
            return Admission.FULL
        record = SessionRecord(SessionState.STARTING, last_used_at=now)
        record.lost_before = self._losses.pop(identifier, None)
        self._records[identifier] = record
        return Admission.START

    def started(self, identifier: str, now: float) -> None:
        """The process of a session that was starting is there."""
        record = self._records[identifier]
        record.state = SessionState.OPEN
        record.last_used_at = now

    def enter(self, identifier: str) -> None:
        """An operation on a session begins."""
        self._records[identifier].users += 1

    def leave(self, identifier: str, now: float) -> None:
        """An operation on a session is over, whether or not the session still is there."""
        record = self._records.get(identifier)
        if record is not None and record.users > 0:
            record.users -= 1
            record.last_used_at = now

    def touch(self, identifier: str, now: float) -> bool:
        """Begin the cooldown anew. False if there is no such session."""
        record = self._records.get(identifier)
        if record is None:
            return False
        record.last_used_at = now
        return True

    def told(self, identifier: str) -> str | None:
        """Why the session before this one is gone, the first time that this is asked."""
        record = self._records.get(identifier)
        if record is None:
            return None
        reason, record.lost_before = record.lost_before, None
        return reason

    def ended(self, identifier: str, why: str | None) -> bool:
        """A session is gone; ``why`` is None if its user asked for that. True if there was one."""
        if self._records.pop(identifier, None) is None:
            return False
        if why is not None:
            self._losses[identifier] = why
        return True

    def expires_at(self, identifier: str) -> float | None:
        """When an idle session is to be ended, or None if there is none or it is in use."""
        record = self._records.get(identifier)
        if record is None or record.users > 0 or record.state is SessionState.STARTING:
            return None
        return record.last_used_at + self.cooldown_seconds

    def expired(self, now: float) -> tuple[str, ...]:
        """Identifiers of the sessions to be ended now because nobody used them."""
        return tuple(
            identifier
            for identifier in self._records
            if (expiry := self.expires_at(identifier)) is not None and expiry <= now
        )
