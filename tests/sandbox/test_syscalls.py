"""The system calls that Python has no function for, in a user namespace of the test's own."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from aca_mcp.sandbox import syscalls
from tests.sandbox.programs import OWN_MOUNTS, run

if TYPE_CHECKING:
    from pathlib import Path

ENTER = f"""{OWN_MOUNTS}
place = Path(arguments["place"])
"""


def test_a_call_that_fails_says_which_and_why() -> None:
    with pytest.raises(OSError, match=r"newer than the kernel: Function not implemented") as failed:
        syscalls.syscall(100_000, what="newer than the kernel")
    assert failed.value.errno == errno.ENOSYS


def test_mounts_are_made_copied_and_made_read_only(tmp_path: Path) -> None:
    for name in ("tmpfs", "copy", "source"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "file").write_text("text")
    program = f"""{ENTER}
syscalls.mount("tmpfs", str(place / "tmpfs"), syscalls.MS_NOSUID, "size=1m")
(place / "tmpfs" / "file").write_text("text")
tree = syscalls.clone_tree(str(place / "source"))
syscalls.restrict_tree(tree, syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV)
syscalls.attach_tree(tree, str(place / "copy"))
os.close(tree)
found = [
    (place / "copy" / "file").read_text(),
    error_of(lambda: (place / "copy" / "file").write_text("new")),
    error_of(lambda: (place / "source" / "file").write_text("new")),
]
syscalls.restrict_mount(str(place / "tmpfs"), syscalls.MOUNT_ATTR_RDONLY)
found.append(error_of(lambda: (place / "tmpfs" / "file").write_text("new")))
syscalls.unmount_lazily(str(place / "tmpfs"))
found.append((place / "tmpfs" / "file").exists())
print(json.dumps(found))
"""
    assert run(program, place=str(tmp_path)) == ["text", "EROFS", None, "EROFS", False]


def test_capabilities_that_were_dropped_are_gone(tmp_path: Path) -> None:
    program = f"""{ENTER}
syscalls.mount("tmpfs", str(place), 0)
syscalls.unmount_lazily(str(place))
syscalls.drop_all_capabilities()
status = Path("/proc/self/status").read_text().splitlines()
held = dict(line.split(":\\t") for line in status if line.startswith("Cap"))
print(json.dumps([error_of(lambda: syscalls.mount("tmpfs", str(place), 0)), held]))
"""
    assert run(program, place=str(tmp_path)) == [
        "EPERM",
        dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16),
    ]


def test_a_namespace_that_was_left_is_entered_again(tmp_path: Path) -> None:
    program = f"""{ENTER}
own = os.open("/proc/self/ns/uts", os.O_RDONLY)
before = os.readlink("/proc/self/ns/uts")
syscalls.unshare(syscalls.CLONE_NEWUTS)
between = os.readlink("/proc/self/ns/uts")
syscalls.unshare(syscalls.CLONE_NEWPID)
try:
    syscalls.setns(own, syscalls.CLONE_NEWUTS)
except PermissionError:
    pass  # it belongs to the namespace of users above
print(json.dumps(before != between))
"""
    assert run(program, place=str(tmp_path)) is True


def test_ids_for_files_that_cannot_be_taken_are_an_error() -> None:
    """-1 is nobody's, so the kernel takes it from no one, not even from root."""
    before = (os.geteuid(), os.getegid())
    with pytest.raises(PermissionError, match="cannot take the ids of a session"):
        syscalls.set_file_system_ids(-1, -1)
    assert syscalls.set_file_system_ids(*before) == before
