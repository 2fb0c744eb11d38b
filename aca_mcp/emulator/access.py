"""Who may use the emulator. Pure.

On loopback any token will do. A web page that the user visits is kept out all the same: it cannot
send an ``Authorization`` header to another origin, and a host name of its own is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.emulator.service_errors import ServiceError, forbidden, unauthorized
from aca_mcp.hosts import HostName, is_private, parse_host

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHOUT_ROLE = "-without-role"
"""A token that ends so is known, and its owner lacks the role."""
_MAX_QUOTED_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked of a request."""

    token: str = ""
    """The one token that is good; empty for any."""
    allowed_hosts: frozenset[HostName] = frozenset()
    """What a request may be for beside this machine's own names; without a port, for any."""

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in.

        Raises:
            ServiceError: 401 or 403.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise unauthorized()
        if not self.token:
            self._check_host(headers.get("host", ""))
        elif _same(given, self.token + WITHOUT_ROLE):
            raise forbidden()
        elif not _same(given, self.token):
            raise unauthorized()

    def _check_host(self, header: str) -> None:
        host = parse_host(header)
        if host is None or not (is_private(host.name) or host.is_among(self.allowed_hosts)):
            given = (host.name if host else header)[:_MAX_QUOTED_CHARACTERS]
            shown = given.encode("ascii", "replace").decode()
            raise ServiceError(
                403,
                "HostNotAllowed",
                f"The emulator does not answer for the Host '{shown}': without a token of its own "
                "it serves names of this machine alone. Start it with --allowed-hosts and that "
                "name, or set ACA_MCP_EMULATOR_TOKEN.",
            )


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.strip().encode(), wanted.encode())
