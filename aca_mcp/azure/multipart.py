"""The one multipart body that the service takes: a field ``file`` with a name and its content.

Streams are written as they come. Small ones are held, so that they have a length and can be sent
again when a token had to be renewed.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from aca_mcp.errors import FileTooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

_HELD_BYTES = 2**20


class FileBody:
    """A file on its way, bounded in size. Made by ``file_body``."""

    def __init__(self, name: str, held: bytes, rest: AsyncIterator[bytes] | None, most: int):
        self._boundary = secrets.token_hex(16)
        self._held = held
        self._rest = rest
        self._most = most
        # As browsers do: these three characters would end the name.
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        self._head = (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._foot = f"\r\n--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The header that belongs to the body."""
        return f"multipart/form-data; boundary={self._boundary}"

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The body: whole, or as a stream that can be read once."""
        if self._rest is None:
            return self._head + self._held + self._foot
        return self._stream(self._rest)

    async def _stream(self, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield self._head + self._held
        sent = len(self._held)
        async for chunk in rest:
            sent += len(chunk)
            check_size(sent, self._most)
            yield chunk
        yield self._foot


async def file_body(name: str, content: AsyncIterable[bytes], max_bytes: int) -> FileBody:
    """Begin to read a file that is to be sent.

    Raises:
        FileTooLargeError: it has more than ``max_bytes``.
    """
    chunks = aiter(content)
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        check_size(len(held), max_bytes)
        if len(held) > _HELD_BYTES:
            return FileBody(name, bytes(held), chunks, max_bytes)
    return FileBody(name, bytes(held), None, max_bytes)


def check_size(size: int, most: int) -> None:
    """Refuse a file that is too large."""
    if size > most:
        raise FileTooLargeError(
            f"The file has more than {most:,} bytes, the most that Azure takes. Compress or split "
            "it. What was there before is unchanged."
        )
