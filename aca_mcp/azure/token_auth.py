"""Puts a token on each request, and one that is new on a request whose token was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.azure.tokens import TokenSource


class TokenAuth(httpx.Auth):
    """Bearer authentication with a source of tokens."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request, and once more with another token if it is answered 401.

        Not where its content is a stream, which can be sent once.

        Raises:
            AuthenticationFailedError: no token could be had.
        """
        can_be_sent_again = isinstance(request.stream, httpx.ByteStream)
        token = await self._tokens.get()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and can_be_sent_again:
            token = await self._tokens.replace(token)
            request.headers["Authorization"] = f"Bearer {token}"
            # httpx reads a rejection to its end, however long; nobody needs this one.
            assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 -- see httpx
            response.stream = _Unread(response.stream)
            yield request


class _Unread(httpx.AsyncByteStream):
    """A body that is closed and not read."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for nothing in ():
            yield nothing

    async def aclose(self) -> None:
        await self._body.aclose()
