"""Descriptors over a Unix socket: sent and received. Standard library only, for the template.

``socket.recv_fds`` ignores its flags before Python 3.12.4, and without ``MSG_CMSG_CLOEXEC`` every
program started later would inherit what was received.
"""

from __future__ import annotations

import array
import errno
import socket
import time

_SHORTAGES = frozenset(
    # Of the kernel, for now. The first is the one that others of the same user can bring about:
    # descriptors that lie unread in sockets are counted per user (unix(7), ETOOMANYREFS).
    {errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EINTR}
)
SHORTAGE_PAUSE_SECONDS = 0.02
"""Before something is tried again for which the kernel had no room."""


def is_shortage(error: OSError) -> bool:
    """Whether the kernel only lacks room at the moment, so that trying again may help."""
    return error.errno in _SHORTAGES


def send_patiently(
    connection: socket.socket, data: bytes, descriptors: tuple[int, ...], patience_seconds: float
) -> None:
    """Send data with descriptors, again and again while the kernel has no room. Blocks.

    Raises:
        OSError: it went on having none, or the connection is closed.
    """
    end = time.monotonic() + patience_seconds
    while True:
        try:
            socket.send_fds(connection, [data], descriptors)
        except OSError as error:
            if not is_shortage(error) or time.monotonic() > end:
                raise
            time.sleep(SHORTAGE_PAUSE_SECONDS)
        else:
            return


def receive(
    connection: socket.socket, size: int, most: int, flags: int = 0
) -> tuple[bytes, list[int]]:
    """Receive data and at most ``most`` descriptors, which are the caller's to close.

    Fewer come than were sent where this process has no room for them.

    Raises:
        OSError: as ``recvmsg``.
    """
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(most * descriptors.itemsize)
    data, messages, _, _ = connection.recvmsg(size, space, flags | socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in messages:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(content) - len(content) % descriptors.itemsize
            descriptors.frombytes(content[:whole])
    return data, list(descriptors)
