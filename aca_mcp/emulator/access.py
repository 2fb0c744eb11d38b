"""Who may use the emulator. Pure.

On loopback any token will do. A web page that the user visits is kept out all the same: it cannot
send an ``Authorization`` header to another origin, and a host name of its own is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.emulator.host_names import is_of_this_machine, parse_host
from aca_mcp.emulator.service_errors import ServiceError, forbidden, unauthorized

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
    allowed_hosts: frozenset[str] = frozenset()
    """Names, in small letters, that a request may be for beside this machine's own."""

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
        name = parse_host(header)
        if not is_of_this_machine(name, self.allowed_hosts):
            shown = (name or header)[:_MAX_QUOTED_CHARACTERS].encode("ascii", "replace").decode()
            raise ServiceError(
                403,
                "HostNotAllowed",
                f"The emulator does not answer for the Host '{shown}': without a token of its own "
                "it serves names of this machine alone. Start it with --allowed-hosts and that "
                "name, or set ACA_MCP_EMULATOR_TOKEN.",
            )


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.strip().encode(), wanted.encode())
