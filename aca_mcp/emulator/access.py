"""Who may use the emulator. Pure.

On loopback any token will do. A web page that the user visits is kept out all the same: it cannot
send an ``Authorization`` header to another origin, and a host name of its own is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.emulator.catalogue import ServiceError, forbidden, unauthorized
from aca_mcp.loopback import LOOPBACK_IN_URLS

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHOUT_ROLE = "-without-role"
"""A token that ends so is known, and its owner lacks the role."""


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked of a request."""

    token: str = ""
    """The one token that is good; empty for any."""

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in.

        Raises:
            ServiceError: 401 or 403.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise unauthorized()
        if not self.token:
            host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            if host not in LOOPBACK_IN_URLS:
                raise ServiceError(
                    403, "Forbidden", "Without a token of its own the emulator serves loopback."
                )
        elif _same(given, self.token + WITHOUT_ROLE):
            raise forbidden()
        elif not _same(given, self.token):
            raise unauthorized()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.strip().encode(), wanted.encode())
