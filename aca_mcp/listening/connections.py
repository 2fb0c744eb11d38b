"""Which connections a listener has, and which of them goes where there are too many. Pure.

A connection either *waits* for its client (for the rest of a request, or for the next one, or for
the client to take what was sent) or *works*: the server owes it an answer. Waiting costs a client
nothing, so whoever only waits gives way to whoever comes, the longest silent first. Works are
bounded, and some connections beyond that bound are kept for what is always served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

SPARE = 32
"""Connections beyond the bound, for probes and for clients that are about to say what they want."""
IN_BETWEEN = 8
"""Sockets beyond these: just accepted, one an address, or closed for one that was."""

C = TypeVar("C")


@dataclass(slots=True)
class Connections(Generic[C]):
    """The connections of one listener."""

    most: int
    """That may work at once."""
    spare: int = SPARE
    _working: set[C] = field(default_factory=set[C])
    _waiting: dict[C, None] = field(default_factory=dict[C, None])
    """The longest silent first."""
    _leaving: set[C] = field(default_factory=set[C])
    """That were told to go, and hold their descriptors still."""

    def opened(self, connection: C) -> C | None:
        """Count one that was accepted; gives the one to close for it, if there is no room."""
        self._waiting[connection] = None
        if len(self._working) + len(self._waiting) <= self.most + self.spare:
            return None
        return self.one_gives_way()

    def one_gives_way(self) -> C | None:
        """The longest silent one, to be closed now; None if no client is waited for."""
        if not self._waiting:
            return None
        goes = next(iter(self._waiting))
        del self._waiting[goes]
        self._leaving.add(goes)
        return goes

    def waits(self, connection: C) -> None:
        """It was heard from just now, and the next move is its client's."""
        if self._stays(connection):
            self.closed(connection)
            self._waiting[connection] = None

    def works(self, connection: C) -> None:
        """It is owed an answer."""
        if self._stays(connection):
            self.closed(connection)
            self._working.add(connection)

    def closed(self, connection: C) -> None:
        """It is no more."""
        self._working.discard(connection)
        self._waiting.pop(connection, None)
        self._leaving.discard(connection)

    def is_full_for(self, connection: C) -> bool:
        """As many others work as may."""
        return len(self._working) - (connection in self._working) >= self.most

    def _stays(self, connection: C) -> bool:
        return connection in self._working or connection in self._waiting

    def __contains__(self, connection: C) -> bool:
        return self._stays(connection) or connection in self._leaving
