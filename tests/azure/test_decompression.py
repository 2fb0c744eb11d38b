"""What is made of an answer's bytes: as much as there are bounds for, whatever its headers say."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure.decompression import decoded
from aca_mcp.azure.responses import (
    ExecutionResponse,
    FileListResponse,
    ServiceResponse,
    TooManyValuesError,
)
from tests.azure.test_answer_families import Chunked

MEBIBYTE = 2**20


async def pieces_of(*chunks: bytes, encoding: str = "") -> list[bytes]:
    headers = {"content-encoding": encoding} if encoding else {}
    response = httpx.Response(200, stream=Chunked(*chunks), headers=headers)
    return [piece async for piece in decoded(response)]


@given(content=st.binary(max_size=3000), size=st.integers(1, 500))
async def test_what_was_compressed_once_is_read_however_it_comes(content: bytes, size: int) -> None:
    data = gzip.compress(content)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    for encoding in ("gzip", "GZIP", " x-gzip "):
        assert b"".join(await pieces_of(*chunks, encoding=encoding)) == content
    for encoding in ("", "identity"):
        assert b"".join(await pieces_of(*chunks, encoding=encoding)) == data


async def test_however_much_it_becomes_it_comes_in_pieces() -> None:
    pieces = await pieces_of(gzip.compress(bytes(20 * MEBIBYTE)), encoding="gzip")
    assert sum(map(len, pieces)) == 20 * MEBIBYTE
    assert max(map(len, pieces)) <= MEBIBYTE


async def test_an_answer_without_a_body_has_none() -> None:
    assert await pieces_of(encoding="gzip") == []


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (gzip.compress(gzip.compress(b"x")), "gzip, gzip"),
        (b"x", "br"),
        (b"x", "zstd"),
        (b"x", "gzip, br"),
        (b"x", "none"),
        (b"no gzip", "gzip"),
        (gzip.compress(b"x" * 999)[:-9], "gzip"),
    ],
    ids=["twice", "br", "zstd", "two", "none", "damaged", "half"],
)
async def test_what_was_not_asked_for_or_is_damaged_is_an_error(data: bytes, encoding: str) -> None:
    with pytest.raises(httpx.DecodingError):
        await pieces_of(data, encoding=encoding)


@pytest.mark.parametrize(
    "body",
    [
        b'{"value":[' + b"[]," * MEBIBYTE + b"0]}",
        b'{"value":[' + b"1," * 2 * MEBIBYTE + b"0]}",
        b'{"value":[' + b'"a",' * 300_000 + b"0]}",
        b'{"value":[' + b'{"name":"a"},' * 200_000 + b"0]}",
        b"[" * 3 * MEBIBYTE,
    ],
    ids=["lists", "numbers", "texts", "objects", "nesting"],
)
@pytest.mark.parametrize("model", [ExecutionResponse, FileListResponse])
def test_values_without_end_are_not_read(model: type[ServiceResponse], body: bytes) -> None:
    with pytest.raises(TooManyValuesError):
        model.read(body)


@pytest.mark.parametrize("character", ["x", '"', "\\", "\n", "[", ",", "\u00e4"], ids=ascii)
def test_a_long_text_is_one_value(character: str) -> None:
    text = character * 3 * MEBIBYTE
    answer = ExecutionResponse.read(json.dumps({"status": "x", "stdout": text}).encode())
    assert answer.stdout == text


def test_of_a_page_without_end_some_files_are_read() -> None:
    page = FileListResponse.read(b"[" + b'{"name":"a"},' * 50_000 + b'{"name":"b"}]')
    assert 1000 < len(page.value) < 10_000
