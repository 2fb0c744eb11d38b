"""What this machine has, where a default depends on it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_MEBIBYTE = 2**20
_SHARE = 4
_MOST_MIB = 8192
_LEAST_MIB = 512
_ELSEWHERE_MIB = 2048
"""On systems that do not tell."""
_GROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
"""Of a container, which sees its own group at the top: cgroup versions 2 and 1."""


def default_memory_mib() -> int:
    """Memory of one session where nobody has set it: a quarter of the machine's, at most 8 GiB."""
    limits: list[str] = []
    for path in _GROUP_LIMITS:
        with suppress(OSError):
            limits.append(Path(path).read_text(encoding="ascii"))
    total = machine_bytes()
    return share_of(total, limits) if total else _ELSEWHERE_MIB


def machine_bytes() -> int:
    """The machine's memory; 0 where the system does not tell."""
    with suppress(OSError):  # in some containers this tells of them, where the call does not
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":  # it has another call for that
        return 0
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0


def share_of(total_bytes: int, group_limits: list[str]) -> int:
    """MiB for one session, from the machine's memory and what limits a container. Pure."""
    limits = (int(text) for text in group_limits if text.strip().isdecimal())
    share = min([total_bytes, *limits]) // _SHARE
    return max(_LEAST_MIB, min(share // _MEBIBYTE, _MOST_MIB))
