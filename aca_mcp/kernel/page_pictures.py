"""The picture of a page that a reader is shown: one that it brings along, or a file that it names.

Standard library only.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_STYLE = r"(?<!url\()(?<!url\([\"'])"
"""Pictures of a style sheet are a page's ornaments, such as its maker's logo."""
_BROUGHT = re.compile(_NO_STYLE + r"data:(image/(?:png|jpeg|gif|webp));base64,([\w+/=\s\\]+)")
_ALL_BROUGHT = re.compile(_NO_STYLE + r"data:image/(?:png|jpeg|gif|webp);base64,")
_IMG, _ALT = r"<img\b[^>]{0,500}?\ssrc\s*=\s*", r"!\[[^\]\n]{0,500}\]\(\s*"
_SUFFIX = r"\.(?:png|jpe?g|gif|webp)"
_NAMED = re.compile(
    rf"""(?:{_IMG}["']|{_ALT}<)([^"'<>:?\n]{{1,500}}{_SUFFIX})(?=["'>?])"""
    rf"""|(?:{_IMG}|{_ALT})([^"'\s<>():?]{{1,500}}{_SUFFIX})(?=["'\s>)?])""",
    re.IGNORECASE,
)
"""In HTML, or in Markdown; what has a colon is an address elsewhere."""
_FENCED = re.compile(
    r"^(?:[ \t>]|(?:[-*+]|\d{1,9}[.)])[ \t]){0,50}(`{3,}|~{3,})[^`~\n]*\n.*?"
    r"(?:^[ \t>]*\1[`~]*[ \t\r]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
"""Also as an item of a list, or as what somebody is quoted with."""
_INLINE_CODE = re.compile(
    r"(?<![`\\])(`+)(?!`)(?:(?!\n[ \t\r]*\n).){1,1000}?(?<!`)\1(?!`)", re.DOTALL
)
"""Which ends with its paragraph."""
_IN_TAG = re.compile(r"<[a-zA-Z][^<>]*$")
_IN_MARKDOWN = re.compile(_ALT + "<?$")
"""What ends where the name of a picture begins."""
_WORDS = re.compile(r"""\b(?:alt|title)\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
"""What a tag says, which may read like a side."""
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
        if not _is_ornament(page, *found.span()):
            data = _decoded(found[2])
            number = len(_ALL_BROUGHT.findall(page, found.start()))
            return None if data is None else PagePicture(data, found[1], number)
    spans = [found.span(found.lastindex or 0) for found in _NAMED.finditer(page)]
    named = [page[start:end] for start, end in spans if not _is_ornament(page, start, end)]
    for at, path in enumerate(named):
        data = read(path)
        if data is None and "%" in path:
            data = read(unquote(path))
        if data is not None:
            kind = path.rpartition(".")[2].lower().replace("jpg", "jpeg")
            return PagePicture(data, f"image/{kind}", len(named) - at)
    return None


def has_ornaments_alone(page: str) -> bool:
    """Whether a page brings pictures along, and all of them are logos of its makers."""
    spans = [found.span() for found in _BROUGHT.finditer(page)]
    return bool(spans) and all(_is_ornament(page, *span) for span in spans)


def without_code(markdown: str) -> str:
    """Markdown without what it quotes: pictures that are named there are not shown."""
    return _INLINE_CODE.sub("", _FENCED.sub("", markdown))


def _is_ornament(page: str, start: int, end: int) -> bool:
    """Whether a page shows the picture whose address stands there as small as a maker's logo.

    That is said by the tag that it stands in. Markdown says no sides: what reads like one there
    is what somebody wrote.
    """
    before = page[max(start - _MAX_TAG, 0) : start]
    begun = _IN_TAG.search(before)
    if begun is None or _IN_MARKDOWN.search(before):
        return False
    behind, ends, _ = page[end : end + _MAX_TAG].partition(">")
    tag = _WORDS.sub("", begun[0] + (behind if ends else ""))
    return any(int(each) < _MIN_PIXELS for each in _SIDE.findall(tag))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.replace("\\", "").encode("ascii"), validate=False)
    except (UnicodeEncodeError, binascii.Error):
        return None
