"""What a Python program can upload, as the chunks that a pool takes."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable

import anyio

_CHUNK_BYTES = 1 << 20

Content = bytes | str | os.PathLike[str] | AsyncIterable[bytes]
"""What can be uploaded: bytes, text (as UTF-8), a file of this machine, or a stream."""


async def chunks_of(content: Content) -> AsyncGenerator[bytes]:
    """The content, in chunks of at most 1 MiB unless its stream has others.

    Raises:
        OSError: the file of this machine cannot be read.
    """
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        for start in range(0, len(content), _CHUNK_BYTES):
            yield content[start : start + _CHUNK_BYTES]
    elif isinstance(content, os.PathLike):
        async with await anyio.open_file(content, "rb") as file:
            while chunk := await file.read(_CHUNK_BYTES):
                yield chunk
    else:
        async for chunk in content:
            yield chunk
