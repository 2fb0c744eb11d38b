"""Opens files below a directory without ever leaving it, whatever the names and links there are.

The kernel does it in one step where it can (``openat2``); elsewhere each component is opened in
turn without following links, which refuses the same things. Standard library only. This module
does not know who asks: callers choose what a refusal means to their user.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Sequence

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_ATTEMPTS = 16  # the kernel asks for another one (EAGAIN) when a rename raced with it

O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
_O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
# Windows has none of these, nor descriptors of directories: there this module can be imported only.

LOOK: int = getattr(os, "O_PATH", os.O_RDONLY | O_NONBLOCK)
"""Flags to look at what a name stands for (``os.fstat``) without opening it, where systems can."""
_WALK = LOOK | O_DIRECTORY | _O_NOFOLLOW | _O_CLOEXEC

Openat2 = Callable[[int, bytes, int, int], int]
"""The system call: directory, path, flags and mode to a descriptor."""


def open_beneath(root_fd: int, parts: Sequence[str], flags: int, mode: int = 0) -> int:
    """Open what ``parts`` names below a directory, following no link of any kind.

    Open files whose kind is not known with ``os.O_NONBLOCK``, since a FIFO would block, and look
    at ``os.fstat`` of the result: hard links and devices are not this function's business.

    Args:
        root_fd: a descriptor of the directory; ``O_PATH`` is enough.
        parts: the names on the way; none for the directory itself.
        flags: as for ``os.open``. ``O_CLOEXEC`` is added.
        mode: permissions of a file that ``O_CREAT`` makes.

    Returns:
        A descriptor, which is the caller's to close.

    Raises:
        OSError: it cannot be opened; ``ELOOP`` or ``ENOTDIR`` where a link is in the way, and
            ``EINVAL`` for a part that is not a plain name.
    """
    openat2 = find_openat2()
    if openat2 is None:
        return open_by_walking(root_fd, parts, flags, mode)
    return open_by_kernel(openat2, root_fd, parts, flags, mode)


def open_by_kernel(
    openat2: Openat2, root_fd: int, parts: Sequence[str], flags: int, mode: int = 0
) -> int:
    """As ``open_beneath``, by the system call; again where a rename raced with it."""
    _check(parts)
    path = os.fsencode("/".join(parts) or ".")
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(BlockingIOError, InterruptedError):
            return openat2(root_fd, path, flags | _O_CLOEXEC, mode)
    return openat2(root_fd, path, flags | _O_CLOEXEC, mode)


def make_directories_beneath(root_fd: int, parts: Sequence[str], mode: int = 0o755) -> int:
    """Make the directories on the way that are missing, and open the last one.

    Args:
        root_fd: a descriptor of the directory to begin at; ``O_PATH`` is enough.
        parts: names of the directories; none for the directory itself.
        mode: permissions of those that are made.

    Returns:
        An ``O_PATH`` descriptor of the last directory, which is the caller's to close.

    Raises:
        OSError: as ``open_beneath``, or a directory cannot be made.
    """
    _check(parts)
    here = os.open(".", _WALK, dir_fd=root_fd)
    for part in parts:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=here)
            deeper = os.open(part, _WALK, dir_fd=here)
        finally:
            os.close(here)
        here = deeper
    return here


def _check(parts: Sequence[str]) -> None:
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def open_by_walking(root_fd: int, parts: Sequence[str], flags: int, mode: int = 0) -> int:
    """As ``open_beneath``, one component after the other."""
    _check(parts)
    here = os.open(".", _WALK, dir_fd=root_fd)
    try:
        for part in parts[:-1]:
            deeper = os.open(part, _WALK, dir_fd=here)
            os.close(here)
            here = deeper
        last = parts[-1] if parts else "."
        found = os.open(last, flags | _O_NOFOLLOW | _O_CLOEXEC, mode, dir_fd=here)
    finally:
        os.close(here)
    # Alone O_PATH opens a link itself where O_NOFOLLOW is set; openat2 does so only when asked.
    if stat.S_ISLNK(os.fstat(found).st_mode) and not flags & _O_NOFOLLOW:
        os.close(found)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


@functools.cache
def find_openat2(number: int = _OPENAT2) -> Openat2 | None:
    """The system call, or None where the kernel lacks it or a container's filter forbids it."""
    if sys.platform != "linux":
        return None
    import ctypes  # only here: the import is slow, and most callers never open a file

    class OpenHow(ctypes.Structure):
        _fields_ = (
            ("flags", ctypes.c_uint64),
            ("mode", ctypes.c_uint64),
            ("resolve", ctypes.c_uint64),
        )

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (
        ctypes.c_long,
        ctypes.c_long,
        ctypes.c_char_p,
        ctypes.POINTER(OpenHow),
        ctypes.c_size_t,
    )
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS

    def openat2(directory: int, path: bytes, flags: int, mode: int) -> int:
        # The call refuses a mode where nothing can be created, and bits beyond permissions.
        creates = flags & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY)
        how = OpenHow(flags=flags, mode=mode & 0o7777 if creates else 0, resolve=resolve)
        descriptor = int(syscall(number, directory, path, ctypes.byref(how), ctypes.sizeof(how)))
        if descriptor < 0:
            why = ctypes.get_errno()
            raise OSError(why, os.strerror(why))
        return descriptor

    root = os.open("/", _WALK)
    try:
        os.close(openat2(root, b".", _WALK, 0))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return None
        raise
    finally:
        os.close(root)
    return openat2
