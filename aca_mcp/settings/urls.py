"""Which URLs secrets may be sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.parse import SplitResult

MUST_BE_SECURE = "must be an https:// URL (or http:// to this machine's own loopback)"


def is_secure(parts: SplitResult) -> bool:
    """Whether what is sent there stays between it and us: by https, or on this machine."""
    from aca_mcp.hosts import LOOPBACK  # a client waits for the start, and few set a URL

    return (
        bool(parts.hostname)
        and parts.username is None
        and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
    )
