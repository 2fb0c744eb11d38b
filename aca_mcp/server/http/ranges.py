"""Which part of a file a download asked for (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aca_mcp.errors import SessionFileError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from aca_mcp.pool import FileEntry

_ONE_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.IGNORECASE)


def etag(entry: FileEntry) -> str:
    """What changes whenever the file does, as far as its time and size tell."""
    return f'"{round(entry.modified_at.timestamp() * 1e6):x}-{entry.size_bytes:x}"'


def asked_part(header: str, size: int) -> range | None:
    """The bytes that a ``Range`` header stands for.

    Args:
        header: its value, empty where there was none.
        size: of the file, in bytes.

    Returns:
        The bytes from which to which; none of them if the file has none of what was asked for. None
        for the whole file, which also answers several ranges and what is no range of bytes.
    """
    match = _ONE_RANGE.fullmatch(header.strip())
    first, last = match.groups() if match else ("", "")
    if not first:
        return range(max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


async def part_of(
    chunks: AsyncIterator[bytes], part: range, piece_bytes: int
) -> AsyncGenerator[bytes]:
    """The bytes of a stream that are in a part of it, in pieces of no more than so many.

    Raises:
        SessionFileError: the stream ended before the part did.
    """
    position = 0
    async for chunk in chunks:
        begin, end = max(part.start - position, 0), min(part.stop - position, len(chunk))
        for start in range(begin, end, piece_bytes):
            yield chunk[start : min(start + piece_bytes, end)]
        position += len(chunk)
        if position >= part.stop:
            return
    if position < part.stop:
        raise SessionFileError("The file became shorter while it was read.")
