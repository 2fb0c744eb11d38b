"""Reads the file out of a multipart upload as it arrives, in constant memory."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import unquote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from aca_mcp.emulator.catalogue import invalid_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MAX_HEAD_BYTES = 16 * 1024
_SNIFFED = re.compile(rb"--([0-9A-Za-z'()+_,./:=? -]{1,70})\r?\n")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file on its way in."""

    file_name: str
    """As the client gave it, which may be a whole path."""
    content: AsyncIterator[bytes]


async def read_uploaded_file(content_type: str, body: AsyncIterator[bytes]) -> UploadedFile:
    """Find the part named ``file``, and leave its content to be read.

    A body that begins with a boundary is one whatever it is labelled as: a client in use sends it
    as ``application/json``.

    Raises:
        ServiceError: there is no file in it.
    """
    first = b""
    async for chunk in body:
        first += chunk
        if len(first) > _MAX_HEAD_BYTES or b"\n" in first:
            break
    reader = _Reader(_boundary(content_type, first))
    reader.feed(first)
    while reader.file_name is None and not reader.ended:
        chunk = await anext(body, None)
        if chunk is None:
            break
        reader.feed(chunk)
    if reader.file_name is None:
        raise _no_file()
    return UploadedFile(reader.file_name, _content(reader, body))


async def _content(reader: _Reader, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        while reader.data:
            yield reader.data.popleft()
        if reader.file_ended:
            return
        chunk = await anext(body, None)
        if chunk is None:
            raise invalid_body(file="The body ends in the middle of the file.")
        reader.feed(chunk)


def _boundary(content_type: str, first: bytes) -> bytes:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() == "multipart/form-data" and isinstance(boundary, str):
        return boundary.encode("latin-1", "replace")
    if sniffed := _SNIFFED.match(first):
        return sniffed[1]
    raise _no_file()


def _no_file() -> Exception:
    return invalid_body(file="The File field is required.")


class _Reader:
    """Turns the parser's callbacks into a name and pieces of content."""

    def __init__(self, boundary: bytes) -> None:
        self.file_name: str | None = None
        self.file_ended = False
        self.ended = False
        self.data: deque[bytes] = deque()
        self._field = b""
        self._value = b""
        self._disposition = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._part_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise invalid_body(file="The body is not multipart/form-data.") from None

    @property
    def _in_file(self) -> bool:
        return self.file_name is not None and not self.file_ended

    def _begin_part(self) -> None:
        self._disposition = ""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > _MAX_HEAD_BYTES:
            raise invalid_body(file="A header of the body is too long.")

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value.decode("utf-8", "replace")
        self._field = self._value = b""

    def _end_headers(self) -> None:
        if self.file_name is None:
            self.file_name = _file_name(self._disposition)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.data.append(data[start:end])

    def _end_part(self) -> None:
        self.file_ended = self.file_name is not None

    def _end(self) -> None:
        self.ended = True


def _file_name(disposition: str) -> str | None:
    """The file's name, if this is the field ``file``."""
    message = Message()
    message["content-disposition"] = disposition
    if message.get_param("name", header="content-disposition") != "file":
        return None
    # Not by ``get_param``: it takes names that hold a semicolon or are not ASCII apart.
    if extended := re.search(r"filename\*=utf-8''([^;\s]+)", disposition, re.IGNORECASE):
        return unquote(extended[1])
    if quoted := re.search(r'filename="((?:[^"\\]|\\.)*)"', disposition):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    bare = re.search(r"filename=([^;\s]+)", disposition)
    return bare[1] if bare else None
