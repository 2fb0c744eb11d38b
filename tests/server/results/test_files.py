"""Listings and contents of files, where the session that tells of them is hostile."""

from __future__ import annotations

import struct
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import FileTooLargeError
from aca_mcp.pool import FileDownload, FileEntry, FileListing
from aca_mcp.server.results.files import as_text, read_at_most, show_listing
from aca_mcp.session import PythonSession
from tests.support.pictures import png
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_a_listing_tells_kinds_sizes_and_times() -> None:
    entries = (
        FileEntry("data", "directory", 4096, NOON),
        FileEntry("data/a.csv", "file", 1234567, NOON),
        FileEntry("pipe", "other", 0, NOON),
    )
    assert show_listing(FileListing(entries, truncated=True)).splitlines() == [
        "data/\tdirectory\t2026-01-02 12:00:00 UTC",
        "data/a.csv\t1,234,567 bytes\t2026-01-02 12:00:00 UTC",
        "pipe\tnot a regular file\t2026-01-02 12:00:00 UTC",
        "[more than can be listed at once; list a subdirectory]",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        ("größe".encode(), "größe"),
        (b"", ""),
        (b"a\0b", None),
        (b"PK\x03\x04\xff", None),
        (png(), None),
        (bytes(range(256)), None),
    ],
)
def test_text_is_told_from_bytes(content: bytes, text: str | None) -> None:
    assert as_text(content) == (None if text is None else (text, "utf-8"))


TEXTS = {
    "cp1252": "Müller;1,50 €\nStraße;2,75\n" * 20,
    "gb18030": "这是一个用来测试的中文文本文件 其中有许多常用的汉字。\n" * 20,
    "cp1251": (
        "Москва является столицей России. Население города составляет более двенадцати миллионов "
        "человек; здесь находятся важнейшие учреждения, театры и музеи.\n"
    ),
    "shift_jis": "これは日本語のテキストです。文字コードを調べます。\n" * 20,
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_text_in_other_encodings_is_read(encoding: str) -> None:
    text = TEXTS[encoding]
    found = as_text(text.encode(encoding))
    assert found is not None
    assert found[0] == text


NUMBERS = "".join(f"{number},{number * 1.5}\n" for number in range(300))
TABLES = [
    ("gbk", "姓名,年龄,城市\n"),
    ("big5", "姓名,年齡,城市\n"),
    ("shift_jis", "名前,年齢,都市\n"),
    ("euc_jp", "なまえ,とし,まち\n"),
    ("euc_kr", "이름,나이,도시\n"),
    ("cp1251", "Имя,Возраст,Город\n"),
    ("cp1250", "Województwo,Wartość sprzedaży\n"),
    ("cp1250", "Kraj,Příjmení,Žluťoučký kůň\n"),
    ("cp1254", "Şehir,İlçe,Nüfus değişimi\n"),
    ("cp1252", "Straße,Größe (µm²),Temperatur (°C)\n"),
    ("cp1252", "Île-de-France,dépense : 5 €,«\xa0œuvre\xa0»\n"),
    ("cp1252", "¿Año?,Muñoz,¡sí!,ÄÖÜ\n"),
    ("cp850", "Straße,Größe,Länge\n"),
    ("utf-16-le", "Name,Größe\n"),
    ("utf-16-be", "Name,Größe\n"),
]


@pytest.mark.parametrize(("encoding", "names"), TABLES)
def test_a_line_of_names_above_numbers_tells_the_encoding(encoding: str, names: str) -> None:
    found = as_text(f"{names}{NUMBERS}".encode(encoding))
    assert found is not None
    assert found[0] == names + NUMBERS


@pytest.mark.parametrize(
    "content", [struct.pack("<500h", *range(500)), bytes(100), bytes(range(256)), b"\x1f\x8b\xff"]
)
def test_what_is_no_text_is_not_taken_for_one(content: bytes) -> None:
    assert as_text(content) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding: str) -> None:
    assert as_text("größe\n".encode(encoding)) == ("größe\n", encoding)


class LyingPool(ToyPool):
    """Says that its files are small, and goes on for ever."""

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(1000)

        yield FileDownload(FileEntry(path, "file", 10, NOON), endless())


async def test_a_file_that_is_larger_than_it_says_does_not_fill_memory() -> None:
    async with PythonSession(LyingPool()) as session:
        with pytest.raises(FileTooLargeError, match=r"a has 6,000 bytes.* at most 5,000"):
            await read_at_most(session, "a", 5000)
