"""How many connections there can be, by the descriptors that this process may have."""

from __future__ import annotations

import sys
from contextlib import suppress

from aca_mcp.listening.connections import IN_BETWEEN, SPARE


def connections_possible(wanted: int, *, beside: int) -> int:
    """How many of the wanted connections the descriptors are enough for; at least one.

    The process's limit is raised as far as that needs, and as its hard limit allows: processes
    that are started later have the raised one.

    Args:
        wanted: connections served at once.
        beside: descriptors that must be left for everything else.
    """
    beside += SPARE + IN_BETWEEN
    return max(1, min(wanted, _raised_limit(wanted + beside) - beside))


def _raised_limit(needed: int) -> int:
    if sys.platform == "win32":  # sockets have no such limit there
        return needed
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with suppress(OSError, ValueError):  # macOS has a further limit that it does not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        return raised
    return soft
