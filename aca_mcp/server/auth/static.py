"""Static bearer tokens, each with the name of whoever holds it. Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from aca_mcp.server.auth.principal import static_caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server.auth.provider import AccessToken


class StaticTokens:
    """Knows the digests of tokens, and no token."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """Take these tokens, name to token."""
        self._names = {_digest(token): name for name, token in tokens.items()}

    def find(self, token: str) -> AccessToken | None:
        """Who holds a token, or None. Takes as long for any token of the same length."""
        given = _digest(token)
        found = [name for known, name in self._names.items() if hmac.compare_digest(known, given)]
        return static_caller(found[0]) if found else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
