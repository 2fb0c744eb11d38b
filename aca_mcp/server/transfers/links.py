"""Transfer links: what their tokens say, made and read. Pure but for the clock and a random nonce.

A token is the whole credential: it says which file of which session may be moved which way, as
whom and until when, so that no store is needed and any replica that shares the secret can serve it.
It is encrypted and authenticated as one piece: whoever holds a link may move that one file, but
learns no session handle, with which they could run code, and no principal's name.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aca_mcp import base64url

if TYPE_CHECKING:
    from collections.abc import Callable

Direction = Literal["upload", "download"]

_VERSION = b"\x01"
"""Of what follows it in a token; authenticated with it."""
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Link:
    """What one link is for."""

    principal: str
    """Who asked for it; their limits hold for its use."""
    session: str
    """The name that ``ClientSessions.link_name`` gave the session."""
    path: str
    direction: Direction


class Links:
    """Makes tokens and reads them.

    Args:
        key: 32 bytes, for nothing else. Whoever has it can make links.
        lifetime_seconds: how long a link is good.
        clock: tells the time since the epoch, which replicas agree on.
    """

    def __init__(
        self, key: bytes, *, lifetime_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.lifetime_seconds = lifetime_seconds
        self._cipher = AESGCM(key)
        self._clock = clock

    def make(self, link: Link) -> str:
        """A token for a link, of characters that need no escape in a URL or a shell."""
        said = json.dumps([self._clock() + self.lifetime_seconds, *astuple(link)])
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64url.encode(
            _VERSION + nonce + self._cipher.encrypt(nonce, said.encode(), _VERSION)
        )

    def read(self, token: str) -> Link | None:
        """The link of a token; None if it was not made here or has expired, which look alike."""
        try:
            sealed = base64url.decode(token)
            said = self._cipher.decrypt(
                sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], sealed[:1]
            )
        except (ValueError, InvalidTag):
            return None
        if sealed[:1] != _VERSION:
            return None
        expires_at, principal, session, path, direction = cast(
            "tuple[float, str, str, str, Direction]", json.loads(said)
        )
        if self._clock() >= expires_at:
            return None
        return Link(principal, session, path, direction)
