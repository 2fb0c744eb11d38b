"""Runs a program as another user, who can reach the interpreter wherever it is installed.

``python stage.py UID PROGRAM ARGUMENTS``, as root; with ``WITHOUT_GROUPS`` in the environment, no
control group can be made. An interpreter below a home directory is out of
other users' sight. In a mount namespace of the program's own, the directories on the way become
passable, with nothing in them but the interpreter and this repository; the host keeps its modes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def closed_parents(uid: int) -> list[str]:
    """The directories that keep a user from the interpreter or the repository, outermost first."""
    found: set[Path] = set()
    if uid == 0:
        uid = 65_534  # the sessions of root's pools are other users
    for path in map(Path, (sys.prefix, sys.base_prefix, str(ROOT))):
        for parent in (*reversed(path.parents), path):
            status = parent.stat()
            if not status.st_mode & 0o001 and status.st_uid != uid:
                found.add(parent)
                break
    return sorted(map(str, found))


def open_the_way(closed: list[str]) -> None:
    """Cover closed directories with passable ones that hold what is needed, for this process."""
    from aca_mcp.sandbox import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    needed = {path: syscalls.clone_tree(path) for path in (sys.prefix, sys.base_prefix, str(ROOT))}
    for directory in closed:
        syscalls.mount("tmpfs", directory, 0, "mode=755,size=1m")
    for path, tree in needed.items():
        if any(Path(path).is_relative_to(directory) for directory in closed):
            Path(path).mkdir(parents=True, exist_ok=True)
            syscalls.attach_tree(tree, path)
        os.close(tree)


def cover_groups() -> None:
    """Let this process see no control groups, as in a container that is not given any."""
    from aca_mcp.sandbox import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.make_mounts_private()
    syscalls.mount("tmpfs", "/sys/fs/cgroup", 0, "mode=755,size=1m")
    syscalls.restrict_mount("/sys/fs/cgroup", syscalls.MOUNT_ATTR_RDONLY)


def main() -> None:
    uid, program = int(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, str(ROOT))
    if closed := closed_parents(uid):
        open_the_way(closed)
    if "WITHOUT_GROUPS" in os.environ:
        cover_groups()
    os.chdir(ROOT)
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
