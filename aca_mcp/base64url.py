"""Bytes as text that needs no escape in a URL or a shell: RFC 4648, section 5, without padding."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    """The one text that stands for these bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes that a text stands for.

    Raises:
        ValueError: it is not what ``encode`` gives for any; others may decode to the same bytes.
    """
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("it is no canonical base64url")
    return data
