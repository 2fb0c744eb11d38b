"""Resource limits of one process (setrlimit(2)); what it starts inherits them."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.sandbox.policy import SandboxPolicy

MAX_OPEN_FILES = 640
"""Of one process of a session.

Lower than the server's and the template's, on purpose. Descriptors that lie unread in sockets are
counted per user, and nobody may send more when there are more than the *sender's* limit
(``too_many_unix_fds`` in the kernel). So sessions that share the server's user run into theirs
while server and template still can send.
"""

_MAX_QUEUED_SIGNALS = 1024
"""Timers included; they too are counted per user."""

NICENESS = 5
"""Sessions yield to the server, so that one that computes does not delay the others' calls."""

OOM_SCORE_ADJUSTMENT = 800
"""When the host runs out of memory, a session goes before the server and the user's programs."""


def limits_of(policy: SandboxPolicy) -> dict[int, int]:
    """Limit by ``RLIMIT_*``. Pure.

    Of memory the pool measures what is used. The limit here is for what no session could have: it
    makes an array that is too large by far a ``MemoryError``. It lies well above, since it counts
    what allocators and threads reserve and never use.
    """
    return {
        resource.RLIMIT_DATA: 4 * policy.memory_bytes + 16 * 2**30,
        resource.RLIMIT_NPROC: policy.max_tasks,
        resource.RLIMIT_SIGPENDING: _MAX_QUEUED_SIGNALS,
        resource.RLIMIT_FSIZE: policy.disk_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
    }


def apply(policy: SandboxPolicy) -> None:
    """Put the limits in force. A lower hard limit of the host stays."""
    for kind, wanted in limits_of(policy).items():
        _restrict(kind, wanted)
    os.nice(NICENESS)


def restrict_descriptors() -> None:
    """Put the limit of open files in force, apart from the others: see ``MAX_OPEN_FILES``."""
    _restrict(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)


def allow_descriptors() -> None:
    """Let this process have as many open files as it may. For those that hold sessions."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _restrict(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))
