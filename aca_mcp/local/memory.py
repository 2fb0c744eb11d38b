"""How much memory and disk a session uses, all its processes together.

Resource limits hold one process each. What a session takes by having many, or by sharing, is
counted here, from outside. Blocking, but quick: some reads of ``/proc`` for each process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PROCESSES = 4096
_MAX_DIRECTORIES = 100_000


def exceeds(pid: int, limit: int) -> bool:
    """Whether a process and its descendants have more memory of their own than ``limit`` bytes.

    Files do not count, nor does what is shared unchanged with the template. A quick sum counts
    that, so only when it is too high is a slow and exact one made.
    """
    processes = list(_tree(pid))
    if sum(_kilobytes(p, "status", ("RssAnon:", "RssShmem:")) for p in processes) * 1024 <= limit:
        return False
    exact = sum(_kilobytes(p, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for p in processes)
    return exact * 1024 > limit


def _kilobytes(pid: int, file: str, fields: tuple[str, ...]) -> int:
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0  # it has ended
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


def disk_of(directory: Path) -> int:
    """Bytes and files below a directory, for sessions that have no file system of their own.

    Each file counts as at least 4 KiB. Stops counting where nobody needs to know more.
    """
    total = 0
    with suppress(OSError):  # it is being removed
        for count, (_, _, names, descriptor) in enumerate(os.fwalk(directory)):
            for name in names:
                with suppress(OSError):
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    total += max(4096, status.st_blocks * 512)
            if count > _MAX_DIRECTORIES:
                break
    return total
