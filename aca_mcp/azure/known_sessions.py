"""What one pool object remembers of the sessions it has used. No requests are made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aca_mcp.bounded_mapping import BoundedMapping
from aca_mcp.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.pool import Package

RECYCLED = "the session pool ended it, after its cooldown or for reasons of its own"
DIED = "its interpreter died"
RESTARTED = "its interpreter was restarted (files may still be there)"
CANCELLED = "its execution was cancelled, which on Azure ends the session"

NEW_ALLOCATION = "x-ms-new-allocation"
SESSION_ETAG = "x-ms-session-etag"


@dataclass(slots=True)
class KnownSession:
    """A session by its identifier, as far as this process has seen."""

    turn: Turn = field(default_factory=Turn)
    has_module: bool = False
    """Our module was there when code last ran."""
    is_plain: bool = False
    """Our module's reports do not come back from it."""
    told_of_shell: bool = False
    """It was said that a shell's session keeps no variables."""
    used: bool = False
    """The service has answered about it: if it is new again, state was lost."""
    allocations: int = 0
    """How often the service has said that it made a session for an answer."""
    etag: str = ""
    etag_changes: bool = False
    """The service changes its etag though the session is the same, so it tells nothing."""
    packages: tuple[Package, ...] = ()
    """What it could import when that was last asked; told while code runs."""
    died: bool = False
    """The result before said that its interpreter died."""
    lost: str | None = None
    """Why an earlier session of the identifier is gone, until an execution has told it."""

    def replaced(self, why: str) -> None:
        """Note that the session is a new one."""
        self.has_module = False
        self.packages = ()
        if self.used and self.lost is None:
            self.lost = DIED if self.died else why

    def is_the_same(self) -> None:
        """Note that the interpreter is the one that was used before, whatever headers say."""
        self.lost = None
        self.etag_changes = True

    def note_etag(self, etag: str) -> None:
        """Compare the container's mark with the one before."""
        if etag and self.etag and etag != self.etag and not self.etag_changes:
            self.replaced(RECYCLED)
        self.etag = etag or self.etag

    def take_lost(self) -> str | None:
        """Why the earlier session is gone; told once."""
        why, self.lost = self.lost, None
        return why


class KnownSessions:
    """Sessions by identifier; of very many, those used last."""

    def __init__(self, most: int = 10_000) -> None:
        self._sessions: BoundedMapping[str, KnownSession] = BoundedMapping(
            most, is_needed=lambda known: known.turn.is_taken
        )

    def get(self, identifier: str) -> KnownSession:
        """What is known of a session."""
        return self._sessions.used(identifier, KnownSession)

    def forget(self, identifier: str) -> None:
        """A session was ended on request: the next one of its identifier has lost nothing."""
        if (known := self._sessions.get(identifier)) is not None:
            # Not removed: code may be waiting for its turn.
            known.has_module = known.used = known.died = False
            known.etag, known.lost, known.packages = "", None, ()

    def note(self, identifier: str, answered: bool, headers: Mapping[str, str]) -> None:
        """Read what the headers of an answer say about the session.

        Args:
            identifier: the session's; empty if the answer is about none.
            answered: it is what was asked for. A refusal says nothing of the session, unless its
                headers do.
            headers: the answer's.
        """
        new = is_new(headers)
        if not identifier or (not answered and new is None):
            return
        known = self.get(identifier)
        etag = headers.get(SESSION_ETAG, "")
        if new is False:
            known.etag = etag or known.etag  # it is the same session, whatever its mark
        else:
            known.note_etag(etag)
        if new:
            known.allocations += 1
            known.replaced(RECYCLED)
        known.used = True


def is_new(headers: Mapping[str, str]) -> bool | None:
    """Whether an answer came from a session that was allocated for it; None if it does not say."""
    said = headers.get(NEW_ALLOCATION, "").lower()
    return said == "true" if said in ("true", "false") else None
