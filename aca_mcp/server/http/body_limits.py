"""Messages that would take long to read are refused before the SDK reads them in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from aca_mcp.json_values import READ_AT_ONCE_BYTES, has_too_many_values

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimitMiddleware:
    """Answers 413 for the app where a message has values without end.

    Args:
        app: reads messages.
        max_request_bytes: what the app takes; it refuses longer ones itself.
    """

    def __init__(self, app: ASGIApp, max_request_bytes: int) -> None:
        self._app = app
        self._most = max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, after all of its message has come if that is a long one."""
        if scope["type"] != "http" or scope["method"] != "POST" or not self._may_be_long(scope):
            await self._app(scope, receive, send)
            return
        came: list[Message] = []
        body = bytearray()
        while not came or (came[-1].get("more_body") and len(body) <= self._most):
            came.append(await receive())
            body += came[-1].get("body", b"")
        if len(body) <= self._most and has_too_many_values(bytes(body)):
            response = PlainTextResponse(
                "The message has more values than are read. Send data as a text or as a file.", 413
            )
            await response(scope, receive, send)
            return
        came.reverse()

        async def receive_again() -> Message:
            return came.pop() if came else await receive()

        await self._app(scope, receive_again, send)

    def _may_be_long(self, scope: Scope) -> bool:
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return True
        return READ_AT_ONCE_BYTES < int(length[:18]) <= self._most
