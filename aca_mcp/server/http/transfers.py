"""Serves transfer links: one file of one session by PUT or GET, to whoever has the link.

The link is the credential, so this stands before authentication. What a link says is decided in
``links``; what a file may be, by the session's pool. Files pass through in pieces, whatever their
size. Nothing that would be worth reading in a log is written to one.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from aca_mcp.errors import (
    AcaMcpError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    InvalidRequestError,
    PoolFullError,
    SessionLostError,
    SessionPoolError,
    StorageFullError,
)
from aca_mcp.server.http.ranges import asked_part, etag, part_of
from aca_mcp.server.http.rate_limits import TooMuchError
from aca_mcp.server.results.notebook import FILE_NAME, notebook_of
from aca_mcp.server.results.text import clean, show_name
from aca_mcp.server.transfers.download_names import content_disposition

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.pool import FileDownload
    from aca_mcp.server.http.rate_limits import Limits
    from aca_mcp.server.requests_in_flight import InFlight
    from aca_mcp.server.sessions.client_sessions import ClientSessions
    from aca_mcp.server.transfers.links import Direction, Link, Links
    from aca_mcp.session import PythonSession

_logger = logging.getLogger(__name__)

TRANSFERS_PATH = "/files/"
"""Before the token."""
_STALL_SECONDS = 60
"""How long a client may take for the next piece."""
_PIECE_BYTES = 64 << 10
_METHODS: dict[Direction, tuple[str, ...]] = {"upload": ("PUT",), "download": ("GET", "HEAD")}
_STATUSES: tuple[tuple[type[AcaMcpError], int], ...] = (
    (FileMissingError, 404),
    (FileTooLargeError, 413),
    (StorageFullError, 507),
    (InvalidPathError, 400),
    (InvalidRequestError, 400),
    (SessionLostError, 410),
    (PoolFullError, 503),
    (AcaMcpError, 502),
)
_SAFE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What a file says is never this server's word: no page may come of it."""


class TransfersMiddleware:
    """Moves the files that links are for, and leaves everything else to the app.

    Args:
        app: the rest of the server.
        sessions: of all clients.
        links: read the tokens.
        limits: of the principals whose links they are.
        in_flight: counts transfers, so that a server that is stopped lets them finish.
        stall_seconds: how long a client may take for the next piece.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: ClientSessions,
        links: Links,
        limits: Limits,
        in_flight: InFlight,
        *,
        stall_seconds: float = _STALL_SECONDS,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._links = links
        self._limits = limits
        self._in_flight = in_flight
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a file, or hand it on."""
        if scope["type"] != "http" or not scope["path"].startswith(TRANSFERS_PATH):
            await self._app(scope, receive, send)
            return
        connection = _Connection(receive, send, self._stall_seconds)
        try:
            await self._serve(Request(scope, connection.receive), connection)
        except TooMuchError as error:
            refusal = error.response()
            refusal.headers.update(_SAFE)
        except SessionPoolError as error:
            status = next(code for kind, code in _STATUSES if isinstance(error, kind))
            refusal = _say(error.message, status)
        except _StalledError:
            refusal = _say(
                "Nothing more came for too long. Nothing was written; try again.",
                408,
                {"connection": "close"},
            )
        except ClientDisconnect:
            return
        else:
            return
        if connection.has_answered:
            # The connection is closed before all was sent: the client sees that it is not all.
            _logger.warning("A transfer by a link broke off.")
            return
        with suppress(_StalledError):
            await refusal(scope, receive, connection.send)

    async def _serve(self, request: Request, connection: _Connection) -> None:
        link = self._links.read(request.scope["path"].removeprefix(TRANSFERS_PATH))
        if link is None:
            response = _say("This link is wrong or has expired. Ask for a new one.", 403)
            await response(request.scope, connection.receive, connection.send)
            return
        if request.method not in (methods := _METHODS[link.direction]):
            response = _say(f"This link is for an {link.direction} alone.", 405)
            response.headers["allow"] = ", ".join(methods)
            await response(request.scope, connection.receive, connection.send)
            return
        with self._limits.one_more(link.principal), self._in_flight.track():
            session = await self._sessions.find_linked(link.principal, link.session)
            if link.direction == "upload":
                response = await self._upload(request, session.python, link)
                await response(request.scope, connection.receive, connection.send)
                return
            try:
                async with session.python.open_file(link.path) as file:
                    response = _download(request, file)
                    # The receiving end is watched for as long as it takes.
                    await response(request.scope, connection.receive_without_bound, connection.send)
            except FileMissingError:
                if link.path != FILE_NAME or connection.has_answered:
                    raise
                response = Response(
                    await notebook_of(session.executions), headers=_headers(link.path)
                )
                await response(request.scope, connection.receive_without_bound, connection.send)

    async def _upload(self, request: Request, session: PythonSession, link: Link) -> Response:
        if "content-range" in request.headers:
            raise InvalidRequestError("A file is sent whole. Nothing was written.")
        most = (await self._sessions.pool.metadata()).max_file_bytes
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise FileTooLargeError(
                f"The file has {int(length):,} bytes, and a session takes at most {most:,}. "
                "Nothing was written."
            )
        entry = await session.upload(link.path, request.stream())
        return _say(f"Wrote {show_name(entry.path)}, {entry.size_bytes:,} bytes.", 200)


class _StalledError(Exception):
    """The client took too long for the next piece."""


@dataclass(slots=True)
class _Connection:
    """The connection, which does not wait for ever for the client."""

    receive_without_bound: Receive
    send_without_bound: Send
    stall_seconds: float
    has_answered: bool = False

    async def receive(self) -> Message:
        try:
            with anyio.fail_after(self.stall_seconds):
                return await self.receive_without_bound()
        except TimeoutError:
            raise _StalledError from None

    async def send(self, message: Message) -> None:
        self.has_answered = True
        try:
            with anyio.fail_after(self.stall_seconds):
                await self.send_without_bound(message)
        except TimeoutError:
            raise _StalledError from None


def _headers(path: str) -> dict[str, str]:
    return {
        **_SAFE,
        "content-disposition": content_disposition(path),
        "content-type": "application/octet-stream",
    }


def _download(request: Request, file: FileDownload) -> Response:
    size, tag = file.entry.size_bytes, etag(file.entry)
    headers = {**_headers(file.entry.path), "accept-ranges": "bytes", "etag": tag}
    if request.method == "HEAD":
        return Response(headers={**headers, "content-length": str(size)})
    part = None
    if request.headers.get("if-range", tag) == tag:
        part = asked_part(request.headers.get("range", ""), size)
    if part is None:
        status, part = 200, range(size)
    elif not part:
        return _say(f"The file has {size:,} bytes.", 416, {"content-range": f"bytes */{size}"})
    else:
        status = 206
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    headers["content-length"] = str(len(part))
    return StreamingResponse(part_of(file.chunks, part, _PIECE_BYTES), status, headers)


def _say(sentence: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{clean(sentence)}\n", status, {**_SAFE, **(headers or {})})
