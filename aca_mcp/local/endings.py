"""Why sessions end, as clauses. Pure."""

from __future__ import annotations

import signal

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
