"""Requests as clients spell them: with a slash at the end of the path, without Accept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

_EVERYTHING = b"application/json, text/event-stream"
_TAKES_ANY = frozenset({b"", b"*/*", b"application/*", b"application/json"})
"""What clients send that read whatever comes. Who names JSON alone gets a stream, not a refusal."""


class NormalizationMiddleware:
    """Serves the endpoints under both spellings, rather than sending clients to another address.

    A redirect would lose the body, and behind a proxy that ends TLS it would name another scheme.

    Args:
        app: knows the endpoints without a slash at their ends.
        paths: theirs.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, its path as the app spells it."""
        if scope["type"] == "http":
            path: str = scope["path"]
            bare = path.rstrip("/")
            if bare in self._paths:
                scope = dict(scope) if path == bare else {**scope, "path": bare, "raw_path": None}
                if scope["method"] == "POST":
                    scope["headers"] = _with_accept(scope["headers"])
        await self._app(scope, receive, send)


def _with_accept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = b", ".join(value for name, value in headers if name == b"accept")
    if given.strip() not in _TAKES_ANY:
        return headers
    others = [(name, value) for name, value in headers if name != b"accept"]
    return [*others, (b"accept", _EVERYTHING)]
