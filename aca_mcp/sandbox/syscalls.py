"""The Linux system calls that Python has no function for, as functions that raise ``OSError``.

Numbers are those of the two architectures that the sandbox supports. Knows no policy.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

# Both architectures share the numbers of every call added since Linux 5.1.
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_KCMP = {"x86_64": 312, "aarch64": 272}
_KCMP_VM = 1

MACHINE = platform.machine()

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def words_of(error: BaseException) -> str:
    """What went wrong, for a sentence: the system's words without its numbers."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def syscall(number: int, *args: int | bytes | None, what: str) -> int:
    """Make a system call. Integers are passed as machine words, bytes as pointers to them.

    Raises:
        OSError: the kernel said no; ``what`` begins its message.
    """
    words = [
        ctypes.c_char_p(arg) if isinstance(arg, bytes | type(None)) else ctypes.c_long(arg)
        for arg in args
    ]
    return _check(_libc.syscall(ctypes.c_long(number), *words), what)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind a descriptor."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def prctl(option: int, *args: int) -> int:
    """``prctl(2)`` for options that take integers."""
    padded = (*args, 0, 0, 0, 0)[:4]
    return _check(_libc.prctl(option, *padded), f"prctl({option})")


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    """Mount a new file system of a kind such as ``tmpfs``."""
    name = kind.encode()
    _check(
        _libc.mount(name, os.fsencode(target), name, flags, options.encode() or None),
        f"mount {kind} on {target}",
    )


def make_mounts_private() -> None:
    """Stop mounts of this namespace from spreading to others, and theirs from coming here."""
    _check(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "make / private")


def unmount_lazily(target: str) -> None:
    """Detach a mount now, and free it when nothing uses it any more."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"unmount {target}")


def pivot_root_here() -> None:
    """Make the working directory the root, and let go of the old root."""
    syscall(_PIVOT_ROOT[MACHINE], b".", b".", what="pivot_root")
    unmount_lazily(".")
    os.chdir("/")


def clone_tree(path: str) -> int:
    """Return a descriptor of a detached copy of the mount tree at a path."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    return syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags, what=f"open_tree {path}")


def attach_tree(descriptor: int, target: str) -> None:
    """Attach a detached mount tree at a path."""
    syscall(
        _MOVE_MOUNT,
        descriptor,
        b"",
        _AT_FDCWD,
        os.fsencode(target),
        _MOVE_MOUNT_F_EMPTY_PATH,
        what=f"move_mount to {target}",
    )


def restrict_tree(descriptor: int, attributes: int) -> None:
    """Add attributes such as read-only to a whole mount tree."""
    _mount_setattr(descriptor, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attributes)


def restrict_mount(path: str, attributes: int) -> None:
    """Add attributes such as read-only to the one mount at a path."""
    _mount_setattr(_AT_FDCWD, os.fsencode(path), 0, attributes)


def _mount_setattr(descriptor: int, path: bytes, flags: int, attributes: int) -> None:
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    syscall(_MOUNT_SETATTR, descriptor, path, flags, wanted, len(wanted), what="mount_setattr")


def share_memory(pid: int, other: int) -> bool:
    """Whether two processes have one address space; False where this host does not tell.

    So it is with a process and one that it starts, until that executes its program (vfork(2)).
    """
    try:
        return syscall(_KCMP[MACHINE], pid, other, _KCMP_VM, 0, 0, what="kcmp") == 0
    except (OSError, KeyError):
        return False


def drop_all_capabilities() -> None:
    """Give up every capability for good, those that a program file could give back included."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one that this kernel has, or not ours to drop: capset decides
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def set_file_system_ids(uid: int, gid: int) -> tuple[int, int]:
    """Set the ids with which this thread reaches files, and return the ones it had.

    Only ever for this thread, and only a privileged one can. The call reports no failure, so it
    is made a second time to read what is in force.

    Raises:
        PermissionError: the ids did not change.
    """
    before = (_libc.setfsuid(-1), _libc.setfsgid(-1))
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    if (_libc.setfsuid(-1), _libc.setfsgid(-1)) != (uid, gid):
        raise PermissionError("cannot take the ids of a session for its files")
    return before
