"""Receiving descriptors over a Unix socket. Standard library only: the template uses it too.

``socket.recv_fds`` ignores its flags before Python 3.12.4, and without ``MSG_CMSG_CLOEXEC`` every
program started later would inherit what was received.
"""

from __future__ import annotations

import array
import socket


def receive(
    connection: socket.socket, size: int, most: int, flags: int = 0
) -> tuple[bytes, list[int]]:
    """Receive data and at most ``most`` descriptors, which are the caller's to close.

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
