"""Takes connections from listening sockets, and never more than there is room for.

asyncio's own server takes as many as a client sends, before one of them can be closed for another;
writes a traceback for each that the system has no descriptor for; and gives a TLS handshake a
minute that counts nowhere.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 -- uvicorn's protocols are asyncio's
import errno
import itertools
import logging
import socket
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskGroup

    from aca_mcp.listening.protocol import BoundedProtocol, Bounds

_logger = logging.getLogger(__name__)

_BACKLOG = 128
"""Connections that wait in the system until there is room for them."""
_A_TURN = 32
"""Connections that are taken before others have a turn."""
_AGAIN_SECONDS = 0.1
"""Until the next attempt, when the system had nothing for a connection."""
_NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""As names have that stand for IPv4 and IPv6, where a machine has but one."""


async def listening_sockets(host: str, port: int) -> AsyncIterator[socket.socket]:
    """Listen on every address of a host, and on one port.

    Args:
        host: a name or an address.
        port: 0 for one that is free.

    Raises:
        OSError: it is not to be had.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    missing: OSError | None = None
    is_anywhere = False
    for family, address in dict.fromkeys((family, address) for family, *_, address in found):
        try:
            listening = socket.create_server(
                (address[0], port, *address[2:]), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            if error.errno not in _NO_SUCH_ADDRESS:
                raise
            missing = error
            continue
        listening.setblocking(False)
        port, is_anywhere = listening.getsockname()[1], True
        yield listening
    if missing is not None and not is_anywhere:
        raise missing


class Acceptor:
    """Takes connections of one listener.

    Args:
        make: a new connection's protocol.
        bounds: what connections are held to.
        tls: what they begin with; None for nothing.
    """

    def __init__(
        self, make: Callable[[], BoundedProtocol], bounds: Bounds, tls: ssl.SSLContext | None
    ) -> None:
        self._make = make
        self._bounds = bounds
        self._tls = tls

    async def accept(self, listening: socket.socket, tasks: TaskGroup) -> None:
        """Take connections until cancelled.

        Args:
            listening: where from; it does not block.
            tasks: where connections are made.
        """
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            # What waits is taken at once, for a turn of a busy loop may take long.
            if number % _A_TURN == 0:
                await anyio.lowlevel.checkpoint()
            try:
                self._bounds.room.acquire_nowait()
            except anyio.WouldBlock:
                await self._bounds.room.acquire()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._bounds.room.release()
                await self._cannot_accept(error)
            except BaseException:
                self._bounds.room.release()
                raise
            else:
                protocol = self._make()
                protocol.count()
                tasks.start_soon(self._connect, protocol, connection)

    async def _connect(self, protocol: BoundedProtocol, connection: socket.socket) -> None:
        """Make a connection of what was accepted, or close it."""
        seconds = self._bounds.request_seconds if self._tls else None
        with protocol.making:
            try:
                # Which asyncio does for sockets that it made itself. Else an answer in two parts
                # waits some 40 ms for the client to acknowledge the first.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: protocol, connection, ssl=self._tls, ssl_handshake_timeout=seconds
                )
            except OSError:  # the client left, or speaks no TLS, or does not go on with it
                pass
            else:
                return
            finally:
                if not protocol.is_made:
                    protocol.forget()

    async def _cannot_accept(self, error: OSError) -> None:
        if isinstance(error, ConnectionError):  # that client left before its turn
            return
        _logger.warning("A connection cannot be accepted: %s. Others give way.", error.strerror)
        if (given_up := self._bounds.connections.one_gives_way()) is not None:
            given_up.give_way()
        await anyio.sleep(_AGAIN_SECONDS)
