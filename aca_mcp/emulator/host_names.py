"""Which ``Host`` headers the emulator answers where any token is good. Pure.

A page that the user visits can make a name of its own resolve to this machine, and its requests
then carry that name. So only names are taken that no page can have: addresses of this machine, and
names that public DNS cannot give (RFC 6761, RFC 6762, and ICANN's reservation of ``internal``).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_PRIVATE_DOMAINS = frozenset({"localhost", "local", "test", "internal"})


def parse_host(header: str) -> str:
    """The name in a ``Host`` header, in small letters, without its port and without brackets.

    Empty if it is none.
    """
    try:
        parts = urlsplit(f"//{header}")
        return "" if parts.path or parts.username is not None else (parts.hostname or "")
    except ValueError:
        return ""


def is_of_this_machine(name: str, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether a request for that name can have come from nobody but this machine's own programs.

    Args:
        name: as ``parse_host`` gives it.
        allowed: further names, in small letters, that the user answers for.
    """
    if name in allowed:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.rstrip(".").rpartition(".")[2] in _PRIVATE_DOMAINS
