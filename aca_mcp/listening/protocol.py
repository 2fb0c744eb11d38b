"""HTTP/1.1 on one connection, with a bound on how long its client may keep it waiting.

uvicorn's own protocol waits for ever for the rest of a request. Here the head of one has a
deadline, a body has to keep coming, and what was sent has to be taken: what a client would hold
the connection with before anybody knows who it is.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio  # noqa: TID251 -- uvicorn's protocols are asyncio's

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.listening.connections import Connections

BODY_BYTES_PER_SECOND = 4096
"""A body that comes faster than this has no deadline."""
STALL_SECONDS = 60
"""For a client to take anything of what was sent to it."""
_TOO_SLOW = b"The request took too long to arrive.\n"
_TIMED_OUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)

Phase = Literal["", "head", "body"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the connections of one listener are held to."""

    connections: Connections[BoundedProtocol]
    room: anyio.Semaphore
    """One for each socket that there may be: taken before it is accepted, given back with it."""
    request_seconds: float
    """For a head, and for a body before its bytes earn it more."""
    always_served: frozenset[str]
    """Paths that are served however many connections there are."""


class BoundedProtocol(H11Protocol):
    """One connection. It counts from when it is accepted, which with TLS is before it is made."""

    def __init__(self, *arguments: Any, bounds: Bounds, **named: Any) -> None:
        """Serve a connection as uvicorn does, within these bounds."""
        super().__init__(*arguments, **named)
        self._bounds = bounds
        self._inner = cast("ASGIApp", self.app)
        self.app = self._serve  # pyright: ignore[reportAttributeAccessIssue] -- ASGI is typed thrice
        self._phase: Phase = ""
        self._phase_began = 0.0
        self._body_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self.making = anyio.CancelScope()
        """Of whoever makes the connection."""

    def count(self) -> None:
        """There is a socket for it; the connection that has to give way to it is closed."""
        given_up = self._bounds.connections.opened(self)
        if given_up is not None:
            given_up.give_way()

    @property
    def is_made(self) -> bool:
        """Whether ``connection_lost`` will be called."""
        return cast("asyncio.Transport | None", self.transport) is not None

    def give_way(self) -> None:
        """Close it at once."""
        if self.is_made:
            self.transport.abort()
        else:
            self.making.cancel()

    def forget(self) -> None:
        """Its socket is no more. May be said twice."""
        if self in self._bounds.connections:
            self._bounds.connections.closed(self)
            self._bounds.room.release()

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] -- as uvicorn's
        """Wait for its first request."""
        super().connection_made(transport)
        _give_up_on_stalled(transport)
        self._begin("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.forget()
        self._begin("")
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._phase == "body":
            self._body_bytes += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Turn to the next request."""
        super().on_response_complete()
        self._look(is_answered=True)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)
        self._bounds.connections.waits(self)

    def resume_writing(self) -> None:
        """It took it."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            self._look()

    def _look(self, *, is_answered: bool = False) -> None:
        """See whose move it is now."""
        if self._stall is not None:
            return
        match self.conn.their_state:
            case h11.IDLE:
                # Between two requests uvicorn's own deadline holds; it is over with the first byte.
                is_idle = is_answered and not self.conn.trailing_data[0]
                self._begin("" if is_idle else "head")
                self._bounds.connections.waits(self)
            case h11.SEND_BODY:
                self._begin("body")
                self._bounds.connections.waits(self)
            case _:
                self._begin("")
                self._bounds.connections.works(self)

    def _begin(self, phase: Phase) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if phase:
            self._phase_began, self._body_bytes = self.loop.time(), 0
            self._deadline = self.loop.call_later(self._bounds.request_seconds, self._check)

    def _check(self) -> None:
        """The deadline has come: for good, or for a body that kept coming, or is not wanted yet."""
        allowed = self._bounds.request_seconds + self._body_bytes / BODY_BYTES_PER_SECOND
        left = self._phase_began + allowed - self.loop.time()
        if self.flow.read_paused:
            left = self._bounds.request_seconds
        if left > 0:
            self._deadline = self.loop.call_later(left, self._check)
            return
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_TIMED_OUT)
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        bounds = self._bounds
        if scope["path"] in bounds.always_served or not bounds.connections.is_full_for(self):
            await self._inner(scope, receive, send)
        else:
            await _refuse(send, bounds.connections.most)


async def _refuse(send: Send, most: int) -> None:
    text = f"{most} connections are served already (ACA_MCP_MAX_CONNECTIONS). Try again.\n".encode()
    start: Message = {
        "type": "http.response.start",
        "status": 503,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"retry-after", b"5"),
            (b"connection", b"close"),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": text})


def _give_up_on_stalled(transport: asyncio.Transport) -> None:
    """Let the kernel end a connection whose client takes nothing, also one that was closed here."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    option: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)  # where systems have it
    if connection is not None and option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, STALL_SECONDS * 1000)
