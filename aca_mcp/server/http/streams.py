"""The connections of the SSE transport: how many there are, and how they are ended.

A stream is ended only after what was written to it has left, and a client is told that it ends.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType
    from typing import Self

    from mcp.server.sse import SseServerTransport
    from mcp.shared._stream_protocols import WriteStream
    from mcp.shared.message import SessionMessage
    from starlette.types import ASGIApp, Receive, Scope, Send

    from aca_mcp.server.python_server import PythonServer
    from aca_mcp.server.requests_in_flight import InFlight

_LEAVE_SECONDS = 2
"""For clients to take what was written to them."""


@asynccontextmanager
async def open_streams(
    server: PythonServer, transport: SseServerTransport, most: int, in_flight: InFlight
) -> AsyncGenerator[ASGIApp]:
    """The endpoint where connections begin. With the block they end.

    Args:
        server: serves each of them.
        transport: carries their messages.
        most: connections at once; one more is answered 503.
        in_flight: counts answers that are on their way.
    """
    serving: set[anyio.CancelScope] = set()
    all_ended = anyio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        if len(serving) >= most:
            response = PlainTextResponse("Too many connections.", 503, {"Retry-After": "5"})
            await response(scope, receive, send)
            return
        connection = anyio.CancelScope()
        serving.add(connection)
        try:
            async with transport.connect_sse(scope, receive, send) as (read, write):
                with connection:
                    await server.serve(read, _Counted(write, in_flight))
                await write.aclose()  # what ends the response once all of it was sent
        finally:
            serving.discard(connection)
            if not serving:
                all_ended.set()

    try:
        yield stream
    finally:
        if serving:
            all_ended = anyio.Event()
            for connection in serving:
                connection.cancel()
            with anyio.move_on_after(_LEAVE_SECONDS, shield=True):
                await all_ended.wait()


class _Counted:
    """Writes to a connection, and counts that as work: a call is not over before its answer."""

    def __init__(self, inner: WriteStream[SessionMessage], in_flight: InFlight) -> None:
        self._inner = inner
        self._in_flight = in_flight

    async def send(self, item: SessionMessage, /) -> None:
        with self._in_flight.track():
            await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()
