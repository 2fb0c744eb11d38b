"""Answers read within bounds, however they are compressed.

httpx decompresses a whole piece of what came at once, and as often as a header says: two kilobytes
that were compressed twice become gigabytes. Here each step makes so much and no more.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import anyio.lowlevel
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACCEPTED = "gzip"
_PIECE_BYTES = 2**20
_GZIP = 31  # of ``zlib``: with the header and the end of gzip


async def decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body of an answer in pieces of at most a mebibyte, decompressed once if it has to be.

    Raises:
        httpx.DecodingError: it is compressed in a way that was not asked for, or is damaged.
        httpx.HTTPError: the connection broke.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if response.is_stream_consumed:  # by a transport that is none of the network's
        coding, raw = "", response.aiter_bytes(_PIECE_BYTES)
    else:
        raw = response.aiter_raw(_PIECE_BYTES)
    match coding:
        case "" | "identity":
            async for piece in raw:
                yield piece
        case "gzip" | "x-gzip":
            async for piece in _decompressed(raw):
                yield piece
        case _:
            raise httpx.DecodingError("an encoding that was not asked for")


async def _decompressed(raw: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decompressor = zlib.decompressobj(_GZIP)
    is_empty = True
    async for piece in raw:
        is_empty, rest = False, piece
        while rest and not decompressor.eof:
            try:
                made = decompressor.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from error
            rest = decompressor.unconsumed_tail
            if made:
                yield made
                await anyio.lowlevel.checkpoint()  # one piece may become a thousand
    if not (is_empty or decompressor.eof):
        raise httpx.DecodingError("a part of what was compressed")
