"""Uploads as clients send them, in pieces of any length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.emulator.service_errors import ServiceError
from aca_mcp.emulator.uploaded_file import read_uploaded_file
from tests.support.streams import pieces

LABEL = "multipart/form-data; boundary=x"


def form(disposition: str, content: bytes = b"abc", after: bytes = b"--x--\r\n") -> bytes:
    head = f"--x\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    return head + content + b"\r\n" + after


async def read(body: bytes, label: str = LABEL, size: int = 7) -> tuple[str, bytes]:
    async with read_uploaded_file(label, pieces(body, size)) as file:
        return file.file_name, b"".join([chunk async for chunk in file.content])


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="a;b.txt"', "a;b.txt"),
        (r'form-data; name="file"; filename="a\"b"', 'a"b'),
        ("form-data; name=file; filename=a.txt", "a.txt"),
        ('form-data; name="file"; filename="ä.txt"', "ä.txt"),
        ('form-data; name="file"; filename="x"; filename*=UTF-8\'\'%C3%A4.txt', "ä.txt"),
        # Raw, so that what is judged is what was sent.
        (r'form-data; name="file"; filename="..\..\x.txt"', r"..\..\x.txt"),
        (r'form-data; name="file"; filename="C:\dir\w.txt"', r"C:\dir\w.txt"),
        (r'form-data; name="file"; filename="\\host\share\w.txt"', r"\\host\share\w.txt"),
    ],
)
async def test_names_come_in_every_spelling(disposition: str, name: str) -> None:
    assert await read(form(disposition)) == (name, b"abc")


async def test_other_fields_before_and_after_are_passed_over() -> None:
    other = b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nvalue\r\n'
    file = form('form-data; name="file"; filename="a"', after=other + b"--x--\r\n")
    assert await read(other + file) == ("a", b"abc")


@given(content=st.binary(max_size=200), size=st.integers(1, 50))
async def test_content_is_whole_however_it_arrives(content: bytes, size: int) -> None:
    boundary = b"a-boundary-that-no-content-has"
    head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' % boundary
    body = head + content + b"\r\n--%b--\r\n" % boundary
    label = f"multipart/form-data; boundary={boundary.decode()}"
    assert await read(body, label, size) == ("a", content)
    assert await read(body, "application/json", size) == ("a", content)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        form('form-data; name="file"'),
        form("form-data; name=file; filename=" + "a" * 20_000),
        form('form-data; name="file"; filename="a"')[:-12],
        b"--y\r\n\r\n",
        form('form-data; name="other"; filename="a"', after=b"") * 20,
    ],
    ids=["nothing", "no name", "a head without end", "half", "another boundary", "many parts"],
)
async def test_what_is_no_file_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as refused:
        await read(body, size=100)
    assert list(refused.value.invalid_fields or ()) == ["file"]
