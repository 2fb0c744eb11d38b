"""Refuses requests that a web page could have been tricked into sending.

A page can make a name of its own resolve to this machine (DNS rebinding) and then send whatever
it likes to a server that trusts its network. It cannot lie about two headers: ``Host``, which is
then its own name, and ``Origin``. Both are checked on every path but the probes, wherever the
server listens, as the MCP specification asks (basic/transports, security).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from aca_mcp.hosts import LOOPBACK, HostName, host_of, parse_host

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Guard:
    """What the headers of a request must be. Pure."""

    hosts: frozenset[HostName] = frozenset()
    """Names without a port stand for every port. This machine's own are always allowed."""
    origins: frozenset[str] = frozenset()
    """Beside those of this machine, where it is called by one of its own names."""

    def check(self, host: str, origin: str) -> Refusal | None:
        """Judge a request by its ``Host`` and ``Origin`` headers, empty where they are missing."""
        name = parse_host(host)
        is_local = name is not None and name.name in LOOPBACK
        if name is None or not (is_local or name.is_among(self.hosts)):
            return Refusal(
                421,
                "This server is not called by that Host. Add the name to ACA_MCP_ALLOWED_HOSTS if "
                "it should be.",
            )
        if not origin or origin.lower() in self.origins:
            return None
        page = host_of(origin)
        if is_local and page is not None and page.name in LOOPBACK:
            return None
        return Refusal(
            403,
            "Pages of that Origin may not call this server. Add it to ACA_MCP_ALLOWED_ORIGINS if "
            "they should.",
        )


class GuardMiddleware:
    """Answers for the app where a request is refused.

    Args:
        app: what is guarded.
        guard: decides.
        unguarded: paths that tell nothing and do nothing, which probes call by any name.
    """

    def __init__(self, app: ASGIApp, guard: Guard, *, unguarded: frozenset[str]) -> None:
        self._app = app
        self._guard = guard
        self._unguarded = unguarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, unless its host or its origin is another."""
        if scope["type"] == "http" and scope["path"] not in self._unguarded:
            headers = Headers(scope=scope)
            refusal = self._guard.check(headers.get("host", ""), headers.get("origin", ""))
            if refusal is not None:
                response = PlainTextResponse(refusal.sentence, refusal.status)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
