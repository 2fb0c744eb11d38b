"""Text that is too long, without its middle."""

from __future__ import annotations


def truncate_middle(text: str, most: int) -> str:
    """The beginning and the end of a text, with a line between that says how much is left out.

    Args:
        text: what to shorten.
        most: characters of it that stay.
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"
