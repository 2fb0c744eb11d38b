"""Lets requests in that carry a good bearer token, and tells the SDK whose they are.

The SDK has such a middleware. It knows two refusals, 401 and 403, cannot say that a token could not
be checked, and needs an issuer where tokens are static; so this one stands in its place, and leaves
the caller where the SDK's own leaves it: the owner of a connection is held to it there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers

from aca_mcp.server.auth.errors import MalformedError, NoTokenError, RefusedError, answer

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken
    from starlette.types import ASGIApp, Receive, Scope, Send

    from aca_mcp.server.auth.oidc import IssuedTokens
    from aca_mcp.server.auth.static import StaticTokens

_logger = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 16 * 1024


class TokenVerifier:
    """Knows everybody who may call by the token that they send.

    Args:
        static: those with a token of the settings.
        issued: those with a token of an issuer; None if no issuer is trusted.
    """

    def __init__(self, static: StaticTokens, issued: IssuedTokens | None) -> None:
        self._static = static
        self._issued = issued

    async def warm_up(self) -> None:
        """Ask the issuers for their keys when the server starts, so that a wrong one is seen then.

        Takes some seconds at most. What is wrong is logged, and tried again when a token comes.
        """
        if self._issued is not None:
            await self._issued.warm_up()

    async def verify(self, headers: Headers) -> AccessToken:
        """Who sends a request.

        Raises:
            RefusedError: nobody who may.
        """
        token = bearer_token(headers)
        if (caller := self._static.find(token)) is not None:
            return caller
        if self._issued is None:
            raise RefusedError("The token is not known here.")
        return await self._issued.check(token)


def bearer_token(headers: Headers) -> str:
    """The token that a request carries.

    Raises:
        RefusedError: there is none, more than one, or too long a one.
    """
    given = headers.getlist("authorization")
    if len(given) > 1:
        raise MalformedError("There is more than one Authorization header.")
    scheme, _, token = (given[0] if given else "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise NoTokenError
    if len(token) > MAX_TOKEN_BYTES:
        raise RefusedError(f"The token has more than {MAX_TOKEN_BYTES} characters.")
    return token


class BearerMiddleware:
    """An application that callers alone reach, but for what is open.

    Args:
        app: what is protected.
        verifier: knows who may call.
        open_paths: whose requests are let through as they are, and are nobody's.
        scopes: what a client that is refused should ask the issuer for.
        metadata_url: where it learns who that is; empty if there is none.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: TokenVerifier,
        *,
        open_paths: frozenset[str],
        scopes: tuple[str, ...],
        metadata_url: str,
    ) -> None:
        self._open = app
        self._protected = AuthContextMiddleware(app)
        self._verifier = verifier
        self._open_paths = open_paths
        self._scopes = scopes
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] in self._open_paths:
            await self._open(scope, receive, send)
            return
        try:
            caller = await self._verifier.verify(Headers(scope=scope))
        except RefusedError as refusal:
            _logger.info("A request was refused: %s", refusal.sentence)
            response = answer(refusal, scopes=self._scopes, metadata_url=self._metadata_url)
            await response(scope, receive, send)
            return
        scope["user"] = AuthenticatedUser(caller)
        scope["auth"] = AuthCredentials(caller.scopes)
        await self._protected(scope, receive, send)
