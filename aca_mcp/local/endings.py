"""How requests end, and why sessions do, as clauses. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aca_mcp.execution import Rollback
    from aca_mcp.kernel.frames import Frame
    from aca_mcp.local.exchange import Exchange

TEMPLATE_ENDED = "the process that it was forked from ended, which ends its sessions"
"""Why sessions end that did nothing wrong: a clause."""


def describe_status(status: int | None) -> str:
    """How a process ended, from its exit code or minus a signal's number: a clause."""
    if status is None:
        return "its process ended"
    if status >= 0:
        return f"its process ended itself (exit code {status})"
    causes: dict[int, str] = {
        signal.SIGKILL: "it was killed, as the system does when memory runs out",
        signal.SIGSEGV: "it crashed (SIGSEGV, a fault in compiled code)",
        signal.SIGSYS: "it made a system call of another architecture (SIGSYS)",
    }
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"  # of the real-time ones only two have names
    return causes.get(-status, f"it was ended by {name}")


@dataclass(frozen=True, slots=True)
class KernelOutcome:
    """How a request ended."""

    exchange: Exchange
    """What was told and printed until then."""
    reply: Frame | None
    """None when the process died."""
    stopped: Literal["timeout", "interrupt"] | None
    """Why it was interrupted, if it was."""
    died: str | None
    """Why the process is gone, if it is: a clause."""
    rollback: Rollback | None = None
    """That a checkpoint has taken its place, if one has."""
