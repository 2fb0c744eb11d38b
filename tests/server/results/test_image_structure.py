"""What is known of an image by its structure."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aca_mcp.server.results.image_structure import ImageFacts, examine


def made(form: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, form, **options)  # pyright: ignore[reportArgumentType] -- whatever the format takes
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (made("PNG"), "image/png"),
        (made("JPEG"), "image/jpeg"),
        (made("JPEG", progressive=True), "image/jpeg"),
        (made("GIF"), "image/gif"),
        (made("WEBP"), "image/webp"),
        (made("WEBP", lossless=True), "image/webp"),
        (made("WEBP", exif=b"Exif\0\0"), "image/webp"),
    ],
    ids=["png", "jpeg", "progressive", "gif", "lossy", "lossless", "extended"],
)
def test_a_whole_image_has_its_type_and_size(data: bytes, mime_type: str) -> None:
    assert examine(data) == ImageFacts(mime_type, 40, 30)
    assert examine(data[: len(data) * 2 // 3]) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg/>", b"RIFF....WAVEfmt ", b"\x89PNG\r\n\x1a\n" + b"junk" * 50, b"\xff\xd8\xff"],
)
def test_what_only_begins_like_an_image_is_none(data: bytes) -> None:
    assert examine(data) is None


@given(st.sampled_from([made("PNG"), made("JPEG"), made("GIF"), made("WEBP")]), st.data())
def test_no_damage_breaks_anything(image: bytes, data: st.DataObject) -> None:
    damaged = bytearray(image)
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    examine(bytes(damaged[: data.draw(st.integers(0, len(image)))]))


def test_an_image_of_too_many_pixels_is_known() -> None:
    large, small = examine(made("PNG", (20_000, 10))), examine(made("PNG"))
    assert large is not None
    assert not large.is_within(1568)
    assert small is not None
    assert small.is_within(1568)
