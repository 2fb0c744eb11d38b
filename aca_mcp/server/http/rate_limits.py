"""How much one principal may ask at once and in a minute, and hold of what all share.

A principal without limits could take every session and every connection from the others.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyio import CancelScope
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MINUTE = 60.0
_LEAST = 2
"""Connections for requests and streams together: a stream needs requests beside it."""


@dataclass(eq=False, slots=True)
class Arriving:
    """A request whose end has not come yet. It gives way to one that is there."""

    give_way: Callable[[], None]


@dataclass(slots=True)
class _Use:
    running: int = 0
    arriving: dict[Arriving, None] = field(default_factory=dict["Arriving", None])
    """Those that are not whole yet, the oldest first."""
    streams: int = 0
    opening: int = 0
    """Connections that are not counted yet where they are kept."""
    empty_at: float = 0.0
    """When what was asked for will have been paid off, at the allowed pace (GCRA)."""


def share_of(total: int, wanted: int | None) -> int:
    """How much of something one of several principals may hold.

    Args:
        total: how much there is.
        wanted: what a user chose; None for half.

    Returns:
        At least one, and otherwise less than all, so that others find something.
    """
    return max(1, min(total // 2 if wanted is None else wanted, total - 1))


class TooMuchError(Exception):
    """A principal asked for too much. Leaves this room as an answer with status 429."""

    def __init__(self, sentence: str, retry_after_seconds: int) -> None:
        """Say what is too much, and when to come back."""
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds

    def response(self) -> Response:
        """What a client is answered."""
        return PlainTextResponse(
            f"{self} Wait as long as Retry-After says, then try again.\n",
            429,
            {"Retry-After": str(self.retry_after_seconds)},
        )


@dataclass(slots=True)
class Limits:
    """Counts what each principal asks for. A burst of a minute's allowance is let through."""

    concurrent: int
    per_minute: int
    connections: int
    """That one may hold at once: requests and streams together, and connections of the handshake
    era."""
    clock: Callable[[], float] = time.monotonic
    _uses: dict[str, _Use] = field(default_factory=dict[str, _Use])

    @contextmanager
    def one_more(
        self, principal: str, give_way: Callable[[], None] | None = None
    ) -> Generator[Callable[[], object]]:
        """Count a request for as long as the block lasts; gives what to call when it is whole.

        Args:
            principal: whose it is.
            give_way: ends the block, where another one comes before this one is whole.

        Raises:
            TooMuchError: it is one too many.
        """
        now = self.clock()
        use = self._use(principal)
        ahead = max(use.empty_at - now, 0.0)
        step = _MINUTE / self.per_minute
        if ahead + step > _MINUTE:
            raise TooMuchError(
                f"More than {self.per_minute} requests in a minute.",
                max(1, round(ahead + step - _MINUTE)),
            )
        is_too_much = use.running >= self.concurrent
        if is_too_much or use.running + use.streams >= max(self.connections, _LEAST):
            if not use.arriving:
                if is_too_much:
                    raise TooMuchError(f"More than {self.concurrent} requests at once.", 1)
                self._see_share(self.connections)
            oldest = next(iter(use.arriving))
            del use.arriving[oldest]
            oldest.give_way()
        arriving = Arriving(give_way or (lambda: None))
        if give_way is not None:
            use.arriving[arriving] = None
        use.empty_at = now + ahead + step
        use.running += 1
        try:
            yield lambda: use.arriving.pop(arriving, None)
        finally:
            use.arriving.pop(arriving, None)
            use.running -= 1
            self._forget_idle()

    @contextmanager
    def one_stream(self, principal: str) -> Generator[None]:
        """Count a response that stays open, for as long as the block lasts.

        Raises:
            TooMuchError: it is one too many.
        """
        use = self._use(principal)
        self._see_share(use.streams + use.running)
        use.streams += 1
        try:
            yield
        finally:
            use.streams -= 1
            self._forget_idle()

    @contextmanager
    def one_opening(self, principal: str, held: int) -> Generator[None]:
        """Count a connection that is being opened, until it is counted among those held.

        Raises:
            TooMuchError: it is one too many.
        """
        use = self._use(principal)
        self._see_share(held + use.opening)
        use.opening += 1
        try:
            yield
        finally:
            use.opening -= 1
            self._forget_idle()

    def _use(self, principal: str) -> _Use:
        return self._uses.setdefault(principal, _Use())

    def _see_share(self, held: int) -> None:
        if held >= self.connections:
            raise TooMuchError(
                f"More than {self.connections} connections at once "
                "(ACA_MCP_MAX_CONNECTIONS_PER_PRINCIPAL). End one of them.",
                5,
            )

    def _forget_idle(self) -> None:
        # Whoever is let in has an entry, and nobody is let in without limits: there are few.
        now = self.clock()
        for principal in [
            name
            for name, use in self._uses.items()
            if not (use.running or use.streams or use.opening)
        ]:
            if self._uses[principal].empty_at <= now:
                del self._uses[principal]


class LimitsMiddleware:
    """Answers 429 for the app where a principal asks for too much.

    Args:
        app: what is limited.
        limits: what each principal may.
        principal: who makes the request that is being served.
        connections: how many of the handshake era a principal holds.
        http_path: of streamable HTTP, where a client of that era opens them.
        sse_path: of SSE.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        principal: Callable[[], str],
        *,
        connections: Callable[[str], int],
        http_path: str | None,
        sse_path: str | None,
    ) -> None:
        self._app = app
        self._limits = limits
        self._principal = principal
        self._connections = connections
        self._http_path = http_path
        self._streams = {path for path in (http_path, sse_path) if path is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, unless its principal has too much under way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arriving = CancelScope()
        try:
            with ExitStack() as counted:
                receive, send = self._counted(scope, receive, send, counted, arriving)
                with arriving:
                    await self._app(scope, receive, send)
                if arriving.cancelled_caught:
                    raise TooMuchError("Others came before the rest of this request.", 1)
        except TooMuchError as error:
            await error.response()(scope, receive, send)

    def _counted(
        self, scope: Scope, receive: Receive, send: Send, counted: ExitStack, arriving: CancelScope
    ) -> tuple[Receive, Send]:
        method, path, principal = scope["method"], scope["path"], self._principal()
        if method in {"POST", "PUT"}:
            arrived = counted.enter_context(self._limits.one_more(principal, arriving.cancel))
            receive = _noting_the_end(receive, arrived)
        elif method == "GET" and path in self._streams:
            counted.enter_context(self._limits.one_stream(principal))
        if method != "POST" or path != self._http_path or not _opens(Headers(scope=scope)):
            return receive, send
        held = self._connections(principal)
        opening = counted.enter_context(ExitStack())
        opening.enter_context(self._limits.one_opening(principal, held))

        async def send_and_see(message: Message) -> None:
            opening.close()  # whatever the answer is: if it is a connection, that is held now
            await send(message)

        return receive, send_and_see


def _noting_the_end(receive: Receive, arrived: Callable[[], object]) -> Receive:
    async def receive_and_see() -> Message:
        message = await receive()
        if not message.get("more_body"):
            arrived()
        return message

    return receive_and_see


def _opens(headers: Headers) -> bool:
    """Whether the SDK makes a connection for a request: what is not of a later era, and of none."""
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    return MCP_SESSION_ID_HEADER not in headers and (
        version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
    )
