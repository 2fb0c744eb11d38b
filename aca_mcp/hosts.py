"""Names of hosts: as ``Host`` headers and URLs write them, and which of them mean this machine."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""The names by which a machine calls itself."""
_PLAIN = re.compile(r"[^\s\x00-\x1f\x7f/?#@\\]+")
_PRIVATE_DOMAINS = frozenset({"localhost", "local", "test", "internal"})


@dataclass(frozen=True, slots=True)
class HostName:
    """A host, with a port where one is named."""

    name: str
    """In small letters; an IPv6 address without its brackets."""
    port: int | None = None

    def is_among(self, allowed: frozenset[HostName]) -> bool:
        """Whether it is one of these; one without a port stands for every port."""
        return self in allowed or HostName(self.name) in allowed


def parse_host(text: str) -> HostName | None:
    """Read a ``Host`` header, or a name as a user writes it; None if it is none.

    An IPv6 address has brackets, as in a URL (RFC 3986, 3.2.2).
    """
    # A URL's parser drops control characters, and takes what stands around a host.
    return host_of(f"//{text}") if _PLAIN.fullmatch(text) else None


def parse_hosts(text: str) -> frozenset[HostName]:
    """Read names with commas between, as a user writes them.

    Raises:
        ValueError: one of them is no name, or stands for several.
    """
    given = [name.strip() for name in text.split(",") if name.strip()]
    names = [parse_host(name) for name in given if "*" not in name]
    found = frozenset(name for name in names if name is not None)
    if None in names or len(names) < len(given):
        raise ValueError("must be names as they stand in URLs, with commas between.")
    return found


def host_of(url: str) -> HostName | None:
    """The host that a URL or an ``Origin`` names; None if it names none."""
    try:
        parts = urlsplit(url)
        return HostName(parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def is_private(name: str) -> bool:
    """Whether a request for this name can have come from this machine's own programs alone.

    A page that the user visits can make a name of its own resolve to this machine, and its requests
    then carry that name. No page can have an address of this machine, or a name that public DNS
    cannot give (RFC 6761, RFC 6762, and ICANN's reservation of ``internal``).

    Args:
        name: as ``HostName`` has it.
    """
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.rstrip(".").rpartition(".")[2] in _PRIVATE_DOMAINS
