"""A root of their own for the template and its sessions, and namespaces around it.

The order of the steps carries the safety, and each raises ``OSError`` when the kernel says no:

1. Copies of the mount trees that sessions may read are taken, read-only, before anything hides
   them, by whoever can still see them (an interpreter may live where only root may look).
2. They are attached below an empty tmpfs, which becomes the root; the old root is let go.
3. Root gives its identity up for one that owns nothing on this machine.
4. A user namespace is entered, with the others that a session must not share; from here on every
   capability counts only inside. In it are as many users as root's sessions need, or else only the
   one who started the server.
5. Each session gets a PID namespace and mounts, becomes a user of its own where there are several,
   and then enters a user namespace of its own, which owns none of the above: what it could do with
   capabilities in there would be nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.sandbox import syscalls
from aca_mcp.sandbox.policy import DEVICES, SandboxPolicy

if TYPE_CHECKING:
    from collections.abc import Generator

SESSION_ID = 1000
"""User and group inside a session's namespace."""

UNPRIVILEGED_ID = 64_997
"""User and group of root's trials: owner of nothing, in no user database.

Never 0: an owner of 0 could write ``/proc/sys`` with no capability at all.
"""

_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h

_EMPTY_ROOT = "/tmp"
_NOTHING_IN = "/var/empty"
_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID
_DIRECTORIES = ("/mnt", "/tmp", "/proc", "/dev/shm", "/etc", "/var", _NOTHING_IN)
_LINKS = {
    "/var/tmp": "/tmp",
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
HOST_NAME = "session"
_ACCOUNTS = {
    "/etc/passwd": f"user:x:{SESSION_ID}:{SESSION_ID}:user:/mnt/data:/bin/sh\n",
    "/etc/group": f"user:x:{SESSION_ID}:\n",
}
_LOOPBACK = {
    "/etc/hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost {HOST_NAME}\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
"""Names, where there is nobody to ask for others."""
_SOCKET_BUFFERS = "4096 65536 262144"
"""Of a TCP socket: smallest, first and largest, in bytes. What lies in one is memory that no limit
of a process counts, and by default it may be tens of megabytes."""

_ABOUT_THE_MACHINE = (
    # What /proc tells of the machine and no library asks for.
    *("acpi", "buddyinfo", "bus", "cmdline", "config.gz", "devices", "diskstats", "driver", "fs"),
    *("interrupts", "iomem", "ioports", "irq", "kallsyms", "key-users", "mdstat", "modules"),
    *("partitions", "pressure", "schedstat", "scsi", "softirqs", "swaps", "tty", "zoneinfo"),
)
_INSIDE = (
    syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWNET
)


def enter_template_namespaces(policy: SandboxPolicy) -> None:
    """Move this single-threaded process into the root and namespaces that its sessions share.

    The next child that it forks is the first process of their PID namespace.
    """
    if os.geteuid() == 0:
        first, count = policy.users or (UNPRIVILEGED_ID, 1)
        syscalls.unshare(syscalls.CLONE_NEWNS)
        _build_root(policy)
        with _mapped_from_outside(f"{SESSION_ID} {first} {count}"):
            become_unprivileged(first)
            syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    else:
        enter_user_namespace(syscalls.CLONE_NEWNS)
        _build_root(policy)
    syscalls.unshare(_INSIDE & ~_shared_network(policy))


def enter_session_namespaces(policy: SandboxPolicy, identity: int | None) -> None:
    """Give a forked session mounts and namespaces of its own. It is the first of its PIDs.

    Args:
        policy: what is allowed.
        identity: the user to become, as the template's namespace counts; None for the same one.
    """
    inside = _INSIDE & ~syscalls.CLONE_NEWPID & ~_shared_network(policy)
    syscalls.unshare(syscalls.CLONE_NEWNS | inside)
    syscalls.make_mounts_private()
    mount_proc()
    _hide_the_machine()
    if inside & syscalls.CLONE_NEWNET:
        _bring_loopback_up()
    socket.sethostname(HOST_NAME)
    owner = SESSION_ID if identity is None else identity
    _mount_tmpfs("/mnt", policy.disk_bytes, policy, owner)
    _mount_tmpfs("/tmp", policy.scratch_bytes, policy, owner)
    _mount_tmpfs("/dev/shm", policy.scratch_bytes, policy, owner)
    if identity is not None:
        _become(identity)
    enter_user_namespace(0)


def mount_proc() -> None:
    """Show the processes of this PID namespace, and no others, at ``/proc``."""
    syscalls.mount("proc", "/proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def _hide_the_machine() -> None:
    """Cover what ``/proc`` tells of the machine with nothing."""
    for path, nothing in what_tells_of_the_machine():
        tree = syscalls.clone_tree(nothing)
        syscalls.attach_tree(tree, path)
        os.close(tree)


@cache
def what_tells_of_the_machine() -> tuple[tuple[str, str], ...]:
    """What of ``/proc`` no session needs, each with an empty thing of its kind.

    Every ``/proc`` of a kernel has the same.
    """
    found: list[tuple[str, str]] = []
    for name in _ABOUT_THE_MACHINE:
        path = f"/proc/{name}"
        with suppress(OSError):  # this kernel does not have it
            is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
            found.append((path, _NOTHING_IN if is_directory else "/dev/null"))
    return tuple(found)


def _bring_loopback_up() -> None:
    """Let the network of a session, which nobody else is in, have its own addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
    for name in ("tcp_rmem", "tcp_wmem"):
        _write(f"/proc/sys/net/ipv4/{name}", _SOCKET_BUFFERS)


def become_unprivileged(identity: int) -> None:
    """Give up root for an identity without groups."""
    os.setgroups([])
    _become(identity)


def _become(identity: int) -> None:
    """Change user and group.

    That makes the kernel guard ``/proc/self`` as if a set-uid program ran, which is undone.
    """
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)


def enter_user_namespace(with_flags: int) -> None:
    """Enter one of this process's own, and the others of some ``CLONE_NEW*`` with it."""
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | with_flags)
    # Without "deny" the kernel refuses an unprivileged group map.
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{SESSION_ID} {uid} 1")
    _write("/proc/self/gid_map", f"{SESSION_ID} {gid} 1")


def _write(path: str, text: str) -> None:
    # With nothing in between: a session that begins has a copy of every page that it touches.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


@contextmanager
def _mapped_from_outside(line: str) -> Generator[None]:
    """Map users into the namespace that this process enters in the context.

    More than one can be mapped only by a process that has not entered it: a child that waits.
    """
    reader, writer = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(writer)
        inside = f"/proc/{os.getppid()}"
        try:
            if os.read(reader, 1):
                _write(f"{inside}/setgroups", "deny")
                _write(f"{inside}/uid_map", line)
                _write(f"{inside}/gid_map", line)
                os._exit(0)
        finally:
            os._exit(1)
    os.close(reader)
    try:
        yield
        os.write(writer, b".")
    finally:
        os.close(writer)
        _, status = os.waitpid(mapper, 0)
    if status != 0:
        raise OSError(errno.EPERM, "the users of sessions could not be mapped")


def _build_root(policy: SandboxPolicy) -> None:
    syscalls.make_mounts_private()
    links = {name: str(Path(name).readlink()) for name in policy.readable if _is_link(name)}
    trees = {name: syscalls.clone_tree(name) for name in policy.readable if name not in links}
    devices = {name: syscalls.clone_tree(name) for name in DEVICES}
    # The host's /proc is where identity maps are written, and the kernel lets a namespace mount
    # its own only where one can be seen whole. Those of the namespaces then cover it for good.
    proc = syscalls.clone_tree("/proc")
    for tree in trees.values():
        syscalls.restrict_tree(tree, _READ_ONLY | syscalls.MOUNT_ATTR_NODEV)
    for device in devices.values():
        syscalls.restrict_tree(device, _READ_ONLY | syscalls.MOUNT_ATTR_NOEXEC)
    directories = {name for name, tree in trees.items() if _is_directory(tree)}

    syscalls.mount("tmpfs", _EMPTY_ROOT, syscalls.MS_NOSUID, "mode=755,size=1m")
    os.chdir(_EMPTY_ROOT)
    root = Path(_EMPTY_ROOT)
    for name in _DIRECTORIES:
        _below(root, name).mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, text in {**_ACCOUNTS, **({} if policy.network else _LOOPBACK)}.items():
        _below(root, name).write_text(text, encoding="ascii")
    # Parents before what lies in them, so that an inner tree is not hidden by an outer one.
    for name, tree in sorted({**trees, **devices}.items()):
        target = _below(root, name)
        if name in directories:
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
        else:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.touch()
        syscalls.attach_tree(tree, str(target))
        os.close(tree)
    syscalls.attach_tree(proc, str(_below(root, "/proc")))
    os.close(proc)
    for name, where in {**links, **_LINKS}.items():
        # An interpreter may live below what would be a link.
        if not _below(root, name).exists():
            _below(root, name).symlink_to(where)

    syscalls.pivot_root_here()
    syscalls.restrict_mount("/", syscalls.MOUNT_ATTR_RDONLY)


def _is_link(name: str) -> bool:
    return Path(name).is_symlink() and name in {
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
    }


def _is_directory(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").is_dir()


def _below(root: Path, name: str) -> Path:
    return root / name.lstrip("/")


def _mount_tmpfs(target: str, size: int, policy: SandboxPolicy, owner: int) -> None:
    """Mount an empty directory that may be written, with what must stay readable put back in it.

    An interpreter may live below ``/tmp`` or ``/mnt``: a fresh clone does, or a drive of Windows.
    """
    hidden = [name for name in policy.readable if name.startswith(f"{target}/")]
    trees = {name: syscalls.clone_tree(name) for name in sorted(hidden)}
    inodes = max(1024, size // 16384)
    options = f"mode=700,size={size},nr_inodes={inodes},uid={owner},gid={owner}"
    syscalls.mount("tmpfs", target, syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
    for name, tree in trees.items():
        Path(name).mkdir(parents=True, exist_ok=True)
        syscalls.attach_tree(tree, name)
        os.close(tree)


def _shared_network(policy: SandboxPolicy) -> int:
    return syscalls.CLONE_NEWNET if policy.network else 0


def mount_template_scratch(policy: SandboxPolicy) -> None:
    """Give the template a ``/tmp`` to import with. Sessions cover it with theirs."""
    _mount_tmpfs("/tmp", 64 * 2**20, policy, SESSION_ID)
