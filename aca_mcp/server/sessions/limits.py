"""How much clients may have of sessions, and of what is kept of them."""

from __future__ import annotations

from typing import NamedTuple

KEEP_ALIVE_SECONDS = 120.0
"""For every pool of Azure: the shortest cooldown that it allows is 300."""


class Limits(NamedTuple):
    """How much one session, one principal and the server may have of sessions and executions."""

    handles: int = 100
    """Sessions by handle of one principal."""
    per_principal: int | None = None
    """Sessions of the pool that one principal may have at once; None for as many as there are."""
    idle_seconds: float = 8 * 3600
    """A session that nobody used for so long is ended, though its connection is there."""
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    """From one time that a session is kept alive to the next: well below its pool's cooldown."""
    session_bytes: int = 16 << 20
    """Of code and results that have ended, in one session."""
    principal_bytes: int = 64 << 20
    """Of all sessions of one principal, with code that runs."""
    server_bytes: int = 256 << 20
    """Of everybody; who holds the most forgets first."""
    session_executions: int = 200
    """Of one session, those that have ended."""
    in_background: int = 8
    """Of one session at once. They run one after the other, so more would only wait."""
    cancel_seconds: float = 20
    """For code to stop; its pool kills it long before."""
