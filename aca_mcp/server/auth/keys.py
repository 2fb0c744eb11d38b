"""The public keys that one issuer signs with: fetched, kept, and fetched again when they change.

Whoever can send a token can name a key that does not exist, so fetching is bounded in time and
size, happens once for all who wait, and not again before a while has passed.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx
import jwt
from pydantic import BaseModel, JsonValue, ValidationError

from aca_mcp.hosts import LOOPBACK
from aca_mcp.server.auth.errors import IssuerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)

ALGORITHMS = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
)
"""What tokens may be signed with. What a token says of itself only chooses among them."""

FRESH_SECONDS = 600
"""Keys that are older are fetched again before they are used: one may have been withdrawn."""
USABLE_SECONDS = 3600
"""How old keys are used while the issuer cannot be reached."""
REFETCH_SECONDS = 30
"""Between two fetches, however many unknown keys are named."""
RETRY_SECONDS = 5
"""Between two fetches while there are no keys to use."""
_MAX_DOCUMENT_BYTES = 256 * 1024


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str


class _KeySet(BaseModel):
    keys: list[dict[str, JsonValue]]


class _FetchError(Exception):
    """The keys could not be had; the text says why."""


class SigningKeys:
    """The keys of one issuer. Nothing is fetched before a key is needed.

    Args:
        issuer: the URL, exactly as the issuer itself says it.
        fetch_seconds: how long it may take to answer.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        issuer: str,
        *,
        fetch_seconds: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch_seconds = fetch_seconds
        self._issuer = issuer
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._not_before = float("-inf")

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of that name, or None if the issuer has none.

        Raises:
            IssuerUnavailableError: there are no keys that may be used, and none can be fetched.
        """
        if self._is_wanting(key_id) and not (self._is_usable(key_id) and self._lock.locked()):
            async with self._lock:
                if self._is_wanting(key_id) and self._clock() >= self._not_before:
                    await self._refresh()
        if self._age() >= USABLE_SECONDS:
            raise IssuerUnavailableError
        return self._keys.get(key_id)

    async def warm_up(self) -> None:
        """Fetch the keys ahead of the first token. What is wrong with them is logged."""
        with suppress(IssuerUnavailableError):
            await self.find("")

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _is_wanting(self, key_id: str) -> bool:
        return key_id not in self._keys or self._age() >= FRESH_SECONDS

    def _is_usable(self, key_id: str) -> bool:
        return key_id in self._keys and self._age() < USABLE_SECONDS

    async def _refresh(self) -> None:
        try:
            # One client that leaves must not cost the others what it was fetching for them all.
            with anyio.fail_after(self._fetch_seconds, shield=True):
                self._keys = await _fetch(self._issuer, self._fetch_seconds)
            self._fetched_at = self._clock()
        except Exception as error:  # whatever an answer of it does to a parser ends nothing here
            reason = _reason(error, self._fetch_seconds)
            _logger.warning("The keys of %s cannot be fetched: %s.", self._issuer, reason)
        has_keys = self._age() < USABLE_SECONDS
        self._not_before = self._clock() + (REFETCH_SECONDS if has_keys else RETRY_SECONDS)


def _reason(error: Exception, fetch_seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"it did not answer within {fetch_seconds:g} seconds"
        case _FetchError():
            return str(error)
        case _:
            return f"its answer cannot be understood ({type(error).__name__})"


async def _fetch(issuer: str, seconds: float) -> dict[str, jwt.PyJWK]:
    try:
        context = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        async with httpx.AsyncClient(verify=context, timeout=seconds) as client:
            where = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            discovery = _Discovery.model_validate_json(await _document(client, where))
            if discovery.issuer != issuer:
                raise _FetchError(
                    "its metadata is another issuer's; ACA_MCP_AUTH_ISSUER must be exact"
                )
            if not _is_safe(discovery.jwks_uri, issuer):
                raise _FetchError("its keys are not at an https:// URL")
            return _usable_keys(await _document(client, discovery.jwks_uri))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _FetchError(f"it cannot be reached ({type(error).__name__})") from None
    except ValidationError:
        raise _FetchError("its metadata or its keys are not what OpenID Connect says") from None


async def _document(client: httpx.AsyncClient, url: str) -> bytes:
    # As sent: what is compressed could grow without bound.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code != 200:
            raise _FetchError(f"it answered with status {response.status_code}")
        document = b""
        async for chunk in response.aiter_raw():
            document += chunk
            if len(document) > _MAX_DOCUMENT_BYTES:
                raise _FetchError(f"it answered with more than {_MAX_DOCUMENT_BYTES} bytes")
        return document


def _is_safe(url: str, issuer: str) -> bool:
    where = httpx.URL(url)
    may_be_local = httpx.URL(issuer).scheme == "http"  # which settings allow on loopback alone
    return where.scheme == "https" or (
        may_be_local and where.scheme == "http" and where.host in LOOPBACK
    )


def _usable_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    found: dict[str, jwt.PyJWK] = {}
    for entry in _KeySet.model_validate_json(document).keys:
        key_id = entry.get("kid")
        if isinstance(key_id, str) and entry.get("use", "sig") == "sig":
            try:
                # A key that does not name its algorithm is for RS256, or what its curve says.
                key = jwt.PyJWK(entry)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # of a kind that is not known here; the others are good
            if key.algorithm_name in ALGORITHMS:
                found[key_id] = key
    if not found:
        raise _FetchError("it has no key of a kind that is accepted")
    return found
