"""Tokens for the data plane: fetched in a worker thread, kept, and put on each request.

One flight at a time renews them. Knows nothing of Azure's credentials but their one method.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread
import httpx

from aca_mcp.errors import AuthenticationFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

_RENEW_SECONDS = 300
"""How long before its expiry a token is renewed."""
_FETCH_SECONDS = 60
"""How long a credential may take; the Azure CLI alone can take ten seconds."""
_MAX_CHARACTERS = 600


class Token(Protocol):
    """What a credential gives. ``azure.core.credentials.AccessToken`` is one."""

    @property
    def token(self) -> str:
        """The text to send."""
        ...

    @property
    def expires_on(self) -> int:
        """When it expires, in seconds since 1970."""
        ...


class TokenCredential(Protocol):
    """Any synchronous credential of ``azure.identity``, or anything with its method."""

    def get_token(self, *scopes: str) -> Token:
        """Fetch a token. Called in a worker thread."""
        ...


class TokenSource:
    """The token of one credential for one scope. Nothing is fetched before it is needed.

    Args:
        make_credential: called in a worker thread, once.
        scope: what the tokens are for.
        described: the credential, for messages, with what to do when it fails.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        make_credential: Callable[[], TokenCredential],
        scope: str,
        *,
        described: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._make_credential = make_credential
        self._scope = scope
        self._described = described
        self._clock = clock
        self._credential: TokenCredential | None = None
        self._token: Token | None = None
        self._flight = anyio.Lock()

    async def get(self) -> str:
        """A token that is valid, renewed if it will not be for long.

        Raises:
            AuthenticationFailedError: the credential gives none.
        """
        token = self._token
        if token is not None and self._clock() < token.expires_on - _RENEW_SECONDS:
            return token.token
        if token is not None and self._clock() < token.expires_on and self._flight.locked():
            return token.token  # it is being renewed, and is still good
        return await self._renew(token)

    async def replace(self, rejected: str) -> str:
        """A token in place of one that the service did not accept.

        Raises:
            AuthenticationFailedError: the credential gives none.
        """
        token = self._token
        if token is not None and token.token != rejected:
            return token.token
        return await self._renew(token, rejected=True)

    async def _renew(self, old: Token | None, *, rejected: bool = False) -> str:
        async with self._flight:
            if self._token is not None and self._token is not old:
                return self._token.token  # fetched while this waited
            try:
                with anyio.fail_after(_FETCH_SECONDS):
                    fetched = await anyio.to_thread.run_sync(self._fetch, abandon_on_cancel=True)
            except Exception as error:  # credentials raise errors of many kinds of their own
                if old is not None and not rejected and self._clock() < old.expires_on:
                    return old.token
                raise AuthenticationFailedError(
                    f"No token could be had with {self._described}. Nothing was executed. "
                    f"{_reason(error)}"
                ) from error
            self._token = fetched
            return fetched.token

    def _fetch(self) -> Token:
        if self._credential is None:
            self._credential = self._make_credential()
        return self._credential.get_token(self._scope)


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


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"It took longer than {_FETCH_SECONDS} seconds."
    text = re.sub(r"\s+", " ", str(error)).strip()[:_MAX_CHARACTERS]
    return f"It says: {text}" if text else f"It failed with {type(error).__name__}."
