"""Sends requests to the data plane: authenticated, retried where that is safe, bounded in time.

Running code is not idempotent. Sent again is only what cannot have run: a request whose connection
was refused, one that was answered 401, 429 or 503, and reading. Knows nothing of what is asked.
"""

from __future__ import annotations

import email.utils
import functools
import logging
import re
import time
import zlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx
import tenacity

from aca_mcp.azure.connection_errors import (
    FOREIGN,
    NOT_SENT,
    Tunnel,
    describe_broken_answer,
    describe_failed_connection,
    has_proxy,
    is_lasting,
    opening,
)
from aca_mcp.azure.decompression import ACCEPTED, decoded
from aca_mcp.azure.responses import NotUnderstoodError, ServiceResponse
from aca_mcp.azure.service_errors import (
    POOL_FULL,
    Subject,
    describe_page,
    find_fault,
    not_understood,
    refusal,
)
from aca_mcp.azure.tokens import TokenAuth
from aca_mcp.errors import PoolUnavailableError, SessionPoolError

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Mapping,
        Sequence,
    )

    from aca_mcp.azure.configuration import Pacing
    from aca_mcp.azure.tokens import TokenSource

_T = TypeVar("_T")
_ResponseT = TypeVar("_ResponseT", bound=ServiceResponse)

_logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 8 * 2**20
"""More than any answer has, but that of an execution."""
_MAX_FAULT_BYTES = 64 * 1024
_ANSWER_SECONDS = 60
_CLIENTS = 32
"""Sessions are spread over so many. One client looks at all its connections for each request, which
with hundreds of sessions takes longer than the request."""
_URLS = 1024
"""That are kept as parsed, which takes as long as half of a request: one for each busy session."""
_CLOSE_SECONDS = 5
_SECONDS = re.compile(r"[0-9]{1,300}(?:\.[0-9]{1,9})?(?![0-9.])")
_MAX_RETRY_AFTER_SECONDS = 999_999
_LATER = frozenset({429, 503})
"""Statuses of requests that were turned away before anything was done about them."""
_PERHAPS_DONE = frozenset({408, 500, 502, 504})
"""Statuses that a gateway gives without knowing what became of the request."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, before it has a token."""

    method: str
    url: str
    subject: Subject
    identifier: str = ""
    content: bytes | AsyncIterable[bytes] = b""
    """A stream can be sent once, so it is never sent again."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer_seconds: float = _ANSWER_SECONDS
    """How long the service may take until its answer begins, and between pieces of it."""
    repeatable: bool = False
    """Sending it twice does what sending it once does."""
    most_bytes: int = MAX_ANSWER_BYTES
    """How many the answer may have."""
    expected: frozenset[int] = frozenset()
    """Statuses that are answers, besides those of success."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    call: Call

    def read(self, model: type[_ResponseT]) -> _ResponseT:
        """What it says, as one of the API's responses.

        Raises:
            PoolUnavailableError: it is none of them.
        """
        try:
            return model.read(self.body)
        except NotUnderstoodError as error:
            raise not_understood(self.status, self.body, self.call.identifier) from error


class StreamedReply:
    """An answer whose body is read as it comes."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces of a mebibyte.

        Raises:
            PoolUnavailableError: the connection broke in the middle of it.
        """
        try:
            async for chunk in decoded(self._response):
                yield chunk
        except FOREIGN as error:
            raise PoolUnavailableError(
                "The session pool's answer could not be read to its end: "
                f"{describe_broken_answer(error)}. Try again."
            ) from error


class AnswerLostError(Exception):
    """What became of a request that was sent is not known, for the reason given: a clause."""


class AnswerTooLargeError(AnswerLostError):
    """An answer has more bytes than are read."""

    def __init__(self) -> None:
        super().__init__("it is too long")


class _LaterError(Exception):
    """What can be tried again after a while, and the error if it cannot."""

    def __init__(self, error: SessionPoolError, wait_seconds: float = 0) -> None:
        super().__init__()
        self.error = error
        self.wait_seconds = wait_seconds


class DataPlane:
    """The service behind one endpoint. Made by ``open_data_plane``."""

    def __init__(
        self,
        clients: Sequence[httpx.AsyncClient],
        retry_seconds: float,
        pacing: Pacing,
        on_answer: Callable[[str, bool, Mapping[str, str]], None],
    ) -> None:
        self._clients = clients
        self._retry_seconds = retry_seconds
        self._backoff = tenacity.wait_random_exponential(
            pacing.first_retry_seconds, pacing.longest_retry_seconds
        )
        self._on_answer = on_answer
        self._has_proxy = has_proxy()
        self._parsed = functools.lru_cache(maxsize=_URLS)(httpx.URL)

    async def send(self, call: Call) -> Reply:
        """Send a request and read its answer.

        Raises:
            AnswerLostError: what became of a request that is not repeatable is not known.
            AnswerTooLargeError: the answer to one that is not repeatable was not read whole.
            SessionPoolError: the service refused it, or cannot be reached.
        """
        return await self._retried(call, self._send_once)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[StreamedReply]:
        """Send a request, and leave the answer's body to be read as it comes.

        Raises:
            SessionPoolError: the service refused it, or cannot be reached.
        """
        response = await self._retried(call, self._open)
        try:
            yield StreamedReply(response)
        finally:
            await _close(response)

    async def _retried(self, call: Call, attempt: Callable[[Call], Awaitable[_T]]) -> _T:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_LaterError),
            wait=self._wait,
            stop=tenacity.stop_before_delay(self._retry_seconds),
            sleep=anyio.sleep,
            reraise=True,
        )
        try:
            return await attempts(attempt, call)
        except _LaterError as later:
            raise later.error from later.__cause__

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Exponential with jitter, and never sooner than the service asks for."""
        error = state.outcome.exception() if state.outcome is not None else None
        asked_for = error.wait_seconds if isinstance(error, _LaterError) else 0
        return max(self._backoff(state), asked_for)

    async def _send_once(self, call: Call) -> Reply:
        response = await self._open(call)
        try:
            body = await _read(response, call.most_bytes)
        except FOREIGN as error:
            raise _broken(call, error) from error
        except AnswerTooLargeError as error:
            if not call.repeatable:
                raise
            raise PoolUnavailableError(
                f"The session pool's answer has more than {call.most_bytes:,} bytes, which none "
                "of its API has: something between may have given it. Check "
                "ACA_MCP_POOL_MANAGEMENT_ENDPOINT."
            ) from error
        finally:
            await _close(response)
        return Reply(response.status_code, response.headers, body, call)

    async def _open(self, call: Call) -> httpx.Response:
        http = self._clients[zlib.crc32(call.identifier.encode()) % len(self._clients)]
        tunnel = Tunnel()
        try:
            request = http.build_request(
                call.method,
                self._parsed(call.url),
                content=call.content or None,
                headers=call.headers,
            )
            request.extensions["timeout"]["read"] = call.answer_seconds
            if self._has_proxy:
                request.extensions["trace"] = tunnel.note
            response = await http.send(request, stream=True)
        except FOREIGN as error:
            unsent = isinstance(error, NOT_SENT) or tunnel.is_asked_for
            failure = _unsent if unsent else _broken
            raise failure(call, error) from error
        answered = response.is_success or response.status_code in call.expected
        self._on_answer(call.identifier, answered, response.headers)
        if answered:
            return response
        try:
            raise await _refused(call, response)
        finally:
            await _close(response)


def _unsent(call: Call, error: Exception) -> Exception:
    unreachable = PoolUnavailableError(
        "The session pool cannot be reached. Nothing was executed. "
        f"{describe_failed_connection(error, call.url)} Check the network, and "
        "ACA_MCP_POOL_MANAGEMENT_ENDPOINT."
    )
    return unreachable if is_lasting(error) else _LaterError(unreachable)


def _broken(call: Call, error: Exception) -> Exception:
    why = describe_broken_answer(error)
    if not call.repeatable:
        return AnswerLostError(why)
    unreadable = PoolUnavailableError(
        f"The session pool's answer was not received: {why}. Try again later."
    )
    return unreadable if is_lasting(error) else _LaterError(unreadable)


async def _refused(call: Call, response: httpx.Response) -> Exception:
    status = response.status_code
    try:
        body = await _read(response, _MAX_FAULT_BYTES)
    except (*FOREIGN, AnswerTooLargeError):
        body = b""
    fault = find_fault(status, response.headers, body)
    wait = _retry_after(response.headers)
    error = refusal(
        status,
        fault,
        call.subject,
        call.identifier,
        retry_after_seconds=wait,
        location=response.headers.get("location", ""),
    )
    if fault.code.lower() == POOL_FULL:
        return error  # a session's place becomes free in minutes, not in seconds
    if (status in _LATER and isinstance(call.content, bytes)) or (
        status in _PERHAPS_DONE and call.repeatable
    ):
        return _LaterError(error, wait)
    if status in _PERHAPS_DONE:
        return AnswerLostError(describe_page(status, body, call.identifier))
    return error


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "").strip()
    if found := _SECONDS.match(text):
        return min(float(found[0]), _MAX_RETRY_AFTER_SECONDS)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


async def _read(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in decoded(response):
        body += chunk
        if len(body) > most:
            raise AnswerTooLargeError
    return bytes(body)


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
        await response.aclose()


async def _close_client(client: httpx.AsyncClient) -> None:
    """Close connections; what goes wrong then concerns nobody."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_SECONDS):
        try:
            await client.aclose()
        except Exception as error:
            _logger.warning("A connection was not closed in order: %s", type(error).__name__)


@asynccontextmanager
async def open_data_plane(
    tokens: TokenSource,
    *,
    connect_seconds: float,
    retry_seconds: float,
    pacing: Pacing,
    on_answer: Callable[[str, bool, Mapping[str, str]], None],
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncGenerator[DataPlane]:
    """Open connections as they are needed, keep them for the next requests, close them at the end.

    Args:
        tokens: where tokens come from.
        connect_seconds: how long a connection may take.
        retry_seconds: how long one request may be tried again.
        pacing: how soon.
        on_answer: called for every answer: with the identifier of the session that it is about,
            empty if it is about none, whether it is what was asked for, and its headers.
        transport: instead of the network.

    Raises:
        PoolUnavailableError: the certificates or the proxy that the environment names are unusable.
    """
    timeout = httpx.Timeout(_ANSWER_SECONDS, connect=connect_seconds, pool=connect_seconds)
    # A connection is in use for as long as an execution: there is one for each session at least.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=60)
    async with AsyncExitStack() as opened:
        with opening():
            verify = httpx.create_ssl_context() if transport is None else True  # read once
            clients = [
                httpx.AsyncClient(
                    auth=TokenAuth(tokens),
                    headers={"Accept-Encoding": ACCEPTED},
                    verify=verify,
                    timeout=timeout,
                    limits=limits,
                    transport=transport,
                    follow_redirects=False,
                )
                for _ in range(_CLIENTS)
            ]
        for client in clients:
            opened.push_async_callback(_close_client, client)
        yield DataPlane(clients, retry_seconds, pacing, on_answer)
