"""How much memory a session uses, all its processes together.

Resource limits hold one process each. What a session takes by having many, or by sharing, is
counted here, from outside. Blocking, but quick: some reads of ``/proc`` for each process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PROCESSES = 4096
_QUICK = ("RssAnon:", "RssShmem:", "VmSwap:")
_EXACT = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def exceeds(pid: int, limit: int) -> bool:
    """Whether a process and its descendants have more memory of their own than ``limit`` bytes.

    Files do not count, nor does what is shared unchanged with the template. A quick sum counts
    that, so only when it is too high is a slow and exact one made.
    """
    quick = {process: _kilobytes(process, "status", _QUICK) or 0 for process in _tree(pid)}
    if sum(quick.values()) * 1024 <= limit:
        return False
    # A process can hide the exact figures from others of its user (it says it is not dumpable).
    exact = (
        at_most if (exactly := _kilobytes(process, "smaps_rollup", _EXACT)) is None else exactly
        for process, at_most in quick.items()
    )
    return sum(exact) * 1024 > limit


def _kilobytes(pid: int, file: str, fields: tuple[str, ...]) -> int | None:
    """The sum of some fields; 0 if the process has ended, None if they may not be read."""
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")
    except PermissionError:
        return None
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(fields))


def _tree(pid: int) -> Iterator[int]:
    pending = [pid]
    seen = 0
    while pending and seen < _MAX_PROCESSES:
        current = pending.pop()
        seen += 1
        yield current
        try:
            threads = os.listdir(f"/proc/{current}/task")  # noqa: PTH208 -- polled, and quicker
        except OSError:
            continue
        for thread in threads:
            try:
                children = Path(f"/proc/{current}/task/{thread}/children")
                pending += map(int, children.read_text(encoding="ascii").split())
            except (OSError, ValueError):
                continue
