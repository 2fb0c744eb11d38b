"""The file in a multipart upload, read by starlette's form parser, which keeps it on disk."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from aca_mcp.emulator.service_errors import invalid_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_MAX_PARTS = 16
_CHUNK_BYTES = 2**20
_SNIFFED = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{1,70})\r?\n")
_SNIFFED_BYTES = 80


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that has come in."""

    file_name: str
    """As the client gave it, which may be a whole path."""
    size_bytes: int
    content: AsyncIterator[bytes]


class _FormParser(MultiPartParser):
    """Starlette's, which takes a form that ends in the middle of a file for one without it."""

    def __init__(self, content_type: str, first: bytes, rest: AsyncIterator[bytes]) -> None:
        super().__init__(
            Headers({"content-type": content_type}),
            self._to_its_end(first, rest),
            max_files=_MAX_PARTS,
            max_fields=_MAX_PARTS,
        )
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _to_its_end(self, first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        yield first
        async for chunk in rest:
            yield chunk
        if not self._ended:
            raise MultiPartException("The form ends before its last boundary.")


@asynccontextmanager
async def read_uploaded_file(
    content_type: str, body: AsyncIterator[bytes]
) -> AsyncGenerator[UploadedFile]:
    """Find the field named ``file``, and keep its content for as long as the block lasts.

    A body that begins with a boundary is a form whatever it is labelled as: a client in use sends
    it as ``application/json``.

    Args:
        content_type: the request's header.
        body: bounded by whoever gives it.

    Raises:
        ServiceError: there is no file in it.
    """
    first = b""
    async for chunk in body:
        first += chunk
        if len(first) > _SNIFFED_BYTES or b"\n" in first:
            break
    if not content_type.lower().startswith("multipart/form-data"):
        sniffed = _SNIFFED.match(first)
        if sniffed is None:
            raise _no_file()
        content_type = f'multipart/form-data; boundary="{sniffed[1].decode()}"'
    try:
        form = await _FormParser(content_type, first, body).parse()
    except MultiPartException:
        raise invalid_body(file="The body is not whole multipart/form-data.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise _no_file()
        name = _file_name(file.headers.get("content-disposition", ""))
        yield UploadedFile(name, file.size or 0, _chunks(file))
    finally:
        await form.close()


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK_BYTES):
        yield chunk


def _no_file() -> Exception:
    return invalid_body(file="The File field is required.")


def _file_name(disposition: str) -> str:
    """The name that a part's header gives, raw: the parser takes the directories off of some."""
    # Headers are bytes that starlette reads as Latin-1.
    text = disposition.encode("latin-1", "replace").decode("utf-8", "replace")
    if extended := re.search(r"filename\*=utf-8''([^;\s]+)", text, re.IGNORECASE):
        return unquote(extended[1])
    if quoted := re.search(r'filename="((?:[^"\\]|\\.)*)"', text, re.IGNORECASE):
        return quoted[1].replace(r"\"", '"')
    bare = re.search(r"filename=([^;\s]+)", text, re.IGNORECASE)
    return bare[1] if bare else ""
