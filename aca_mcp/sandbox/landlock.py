"""Landlock: what a process and its children may open, whom they may signal (landlock(7))."""

from __future__ import annotations

import errno
import os
import stat
import struct
from functools import cache
from typing import TYPE_CHECKING

from aca_mcp.sandbox import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15

_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR

# File rights and scopes by the ABI version that brought them.
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL_DEV}
_NETWORK_ABI = 4
_NETWORK_RIGHTS = 0b11
_SCOPE_ABI = 6
_SCOPES = 0b11
"""Abstract Unix sockets and signals: only to processes of the same sandbox."""

MINIMUM_ABI_ALONE = _SCOPE_ABI
"""The version from which Landlock, without namespaces, keeps a session from signalling others."""


@cache
def abi_version() -> int:
    """The version of Landlock that this kernel has in force; 0 if none."""
    try:
        return syscalls.syscall(
            syscalls.LANDLOCK_CREATE_RULESET, None, 0, _VERSION_FLAG, what="landlock"
        )
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        raise


def restrict(readable: Iterable[str], writable: Iterable[str], *, network: bool) -> None:
    """Hold this process to paths, for good; ``no_new_privs`` must have been set.

    Args:
        readable: files and directory trees to read and execute; one that is missing is left out.
        writable: the same, and to change in every way.
        network: leave TCP alone.

    Raises:
        OSError: the kernel has no Landlock, or did not take the rules.
    """
    abi = abi_version()
    if abi == 0:
        raise OSError(errno.EOPNOTSUPP, "this kernel has no Landlock")
    handled = 0
    for since, rights in _RIGHTS_BY_ABI.items():
        handled |= rights if abi >= since else 0
    tcp = _NETWORK_RIGHTS if abi >= _NETWORK_ABI and not network else 0
    scopes = _SCOPES if abi >= _SCOPE_ABI else 0
    attributes = struct.pack("=QQQ", handled, tcp, scopes)
    size = 24 if abi >= _SCOPE_ABI else 16 if abi >= _NETWORK_ABI else 8
    ruleset = syscalls.syscall(
        syscalls.LANDLOCK_CREATE_RULESET, attributes[:size], size, 0, what="landlock ruleset"
    )
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in writable:
            _allow(ruleset, path, handled)
        syscalls.syscall(syscalls.LANDLOCK_RESTRICT_SELF, ruleset, 0, what="landlock restrict")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        syscalls.syscall(
            syscalls.LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0, what="landlock rule"
        )
    finally:
        os.close(descriptor)
