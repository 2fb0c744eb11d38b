"""The picture of a page that a reader is shown: one that it brings along, or a file that it names.

Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_STYLE = r"(?<!url\()(?<!url\([\"'])"
"""Pictures of a style sheet are a page's ornaments, such as its maker's logo."""
_BROUGHT = re.compile(_NO_STYLE + r"data:(image/(?:png|jpeg|gif|webp));base64,([\w+/=\s\\]+)")
_ALL_BROUGHT = re.compile(_NO_STYLE + r"data:image/(?:png|jpeg|gif|webp);base64,")
_NAMED = re.compile(
    r"""(?:<img\b[^>]{0,500}?\ssrc\s*=\s*["']?|!\[[^\]\n]{0,500}\]\(\s*)"""
    r"""([^"'\s<>():?]{1,500}\.(png|jpe?g|gif|webp))(?=["'\s>)?])""",
    re.IGNORECASE,
)
"""In HTML, or in Markdown; what has a colon is an address elsewhere."""
_SIDE = re.compile(r"\b(?:height|width)\s*[:=]\s*[\"']?(\d{1,5})(?![\d.%])")
_MIN_PIXELS = 48
_MAX_TAG = 1000
"""Characters that are looked at on each side of a picture."""


class PagePicture(NamedTuple):
    """The first picture of a page that is one of its contents."""

    data: bytes
    mime: str
    number: int
    """How many pictures there are from this one on."""


def first_picture(page: str, read: Callable[[str], bytes | None]) -> PagePicture | None:
    """Find what a page, in HTML or Markdown, shows first; None if it shows no picture.

    Args:
        page: its source.
        read: gives a file of the work directory, by its path; None if it cannot be shown.
    """
    for found in _BROUGHT.finditer(page):
        if not _is_ornament(page, found):
            data = _decoded(found[2])
            number = len(_ALL_BROUGHT.findall(page, found.start()))
            return None if data is None else PagePicture(data, found[1], number)
    named = [each for each in _NAMED.finditer(page) if not _is_ornament(page, each)]
    for at, found in enumerate(named):
        if (data := read(found[1])) is not None:
            kind = found[2].lower().replace("jpg", "jpeg")
            return PagePicture(data, f"image/{kind}", len(named) - at)
    return None


def has_ornaments_alone(page: str) -> bool:
    """Whether a page brings pictures along, and all of them are logos of its makers."""
    found = list(_BROUGHT.finditer(page))
    return bool(found) and all(_is_ornament(page, each) for each in found)


def _is_ornament(page: str, picture: re.Match[str]) -> bool:
    """Whether a page shows a picture as small as its maker's logo."""
    before = page[max(picture.start() - _MAX_TAG, 0) : picture.start()].rpartition("<")[2]
    behind, ends, _ = page[picture.end() : picture.end() + _MAX_TAG].partition(">")
    # Behind the end of a tag it is not in that one.
    tag = f"{'' if '>' in before else before}{picture[0][:_MAX_TAG]}{behind if ends else ''}"
    return any(int(each) < _MIN_PIXELS for each in _SIDE.findall(tag))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.replace("\\", "").encode("ascii"), validate=False)
    except (UnicodeEncodeError, binascii.Error):
        return None
