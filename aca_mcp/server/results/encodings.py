"""Which encoding a text has that does not say so: by what it begins with, or looks like. Pure.

Detection by frequencies needs much text, and files of data have little of it: a line of names above
columns of numbers. So what older files mostly have is told first by what can only be that.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from aca_mcp.server.results.image_structure import examine

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before that of UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = tuple(bytes([code]) for code in (*range(7), *range(14, 27), *range(28, 32)))
_COMPRESSED = (b"\x1f\x8b", b"PK", b"%PDF", b"BZh", b"7z", b"\xfd7zXZ")
_LOOKED_AT = 50_000
"""Bytes from which an encoding is guessed."""
_MOST = 0.6
"""Of the bytes at even or odd places: so many are zero in UTF-16 of Western text."""
_COMMON = 0.9
_WORD = 1.5
"""Characters of East Asian words, at least, on the average: one alone is a sign of another."""
_FEW = 0.2
_KANA = re.compile("[\u3041-\u30fe]")
_EAST_ASIAN = re.compile("[\u3001-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e]+")
_LETTER = rb"[A-Za-z\xc0-\xff]"
_OF_DOS = re.compile(
    rb"[\x81\x90]|" + _LETTER + rb"[\x82-\x84\x86-\x89\x8b\x94\x95\x98\x9b]" + _LETTER
)
"""What is nothing in cp1252, or a sign within a word, and a letter in the code pages of DOS."""
_OF_CENTRAL_EUROPE = re.compile(
    rb"[\x8d\x8f\x9d]|[\xa3\xa5\xaa\xb3\xb9\xbc\xbe]"
    + _LETTER
    # Questions and exclamations begin with these in Spanish.
    + rb"|"
    + _LETTER
    + rb"[\xa1\xb1\xbf]"
    + _LETTER
)
"""The same of cp1250, the one of Poland and its neighbours."""
_OF_TURKEY, _OF_ICELAND = re.compile(rb"[\xdd\xde\xf0\xfd\xfe]"), re.compile(rb"[\xe1\xe6\xed\xfa]")
_OTHER_ALPHABETS = re.compile(
    "cp125[13-68]|cp866|cp874|koi8_[rut]|iso8859_[5-8]|iso8859_11|tis_620|mac_(?:cyrillic|greek)"
    "|cp932|cp949|big5|gb18030|euc_(?:jp|kr)"
)


def encoding_of(content: bytes) -> str | None:
    """The encoding of a text; None for what is none. Takes its time for long texts."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding
    if any(control in content for control in _NO_TEXT):
        return _wide_encoding_of(content)
    try:
        content.decode()
    except UnicodeDecodeError:
        is_other = content.startswith(_COMPRESSED) or examine(content) is not None
        return None if is_other else _legacy_encoding_of(content)
    return "utf-8"


def _wide_encoding_of(content: bytes) -> str | None:
    """UTF-16 without a mark, of text that is mostly Western."""
    half = len(content) // 2
    if len(content) % 2 or not half:
        return None
    for encoding, start in (("utf-16-le", 1), ("utf-16-be", 0)):
        if content[start::2].count(0) >= _MOST * half:
            beginning = content[: _LOOKED_AT // 2 * 2].decode(encoding, "replace")
            return encoding if "".join(beginning.split()).isprintable() else None
    return None


def _legacy_encoding_of(content: bytes) -> str | None:
    # Lines of nothing but ASCII say nothing.
    lines = [line for line in content.splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:_LOOKED_AT]
    if found := _east_asian_encoding_of(sample):
        return found
    is_few = _is_few(sample)
    if is_few and _OF_DOS.search(sample):
        return "cp850"
    if _OF_CENTRAL_EUROPE.search(sample) and (is_few or _detected(sample) == "cp1250"):
        return "cp1250"
    if is_few:
        is_turkish = _OF_TURKEY.search(sample) and not _OF_ICELAND.search(sample)
        return "cp1254" if is_turkish else "cp1252"
    found = _detected(sample)
    # So many letters that are none of the Latin ones: of short texts it finds what is rare.
    return found if found and _OTHER_ALPHABETS.fullmatch(found) else "cp1251"


def _is_few(sample: bytes) -> bool:
    """Letters of Western Europe among others: too few to tell more by."""
    runs = re.findall(rb"[\x80-\x9f\xa1-\xff]+", sample)  # what is no space
    high = sum(map(len, runs))
    return high < _FEW * len(sample) or high < _WORD * len(runs)


def _detected(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes  # only where it is needed

    best = from_bytes(sample).best()
    return None if best is None else best.encoding


def _east_asian_encoding_of(sample: bytes) -> str | None:
    """That in which a text is words of common characters."""
    best, most = None, _COMMON
    for encoding, is_common in _EAST_ASIAN_ENCODINGS:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(sample)  # its end may be cut
        except UnicodeDecodeError:
            continue
        words = _EAST_ASIAN.findall(text)
        if not words or sum(map(len, words)) < _WORD * len(words):
            continue
        letters = [each for each in text if not each.isascii()]
        share = sum(map(is_common, letters)) / len(letters)
        if share > most or (best is None and share >= most):
            best, most = encoding, share
    return best


def _within(codec: str, first: int, last: int) -> Callable[[str], bool]:
    """Whether a character stands in those rows of a character set that have the common ones."""

    def is_common(character: str) -> bool:
        code = character.encode(codec, "ignore")
        return len(code) == 2 and (first <= code[0] <= last or code[0] in (0xA1, 0xA3))

    return is_common


def _is_japanese(character: str) -> bool:
    return _KANA.match(character) is not None or _in_first_level(character)


_in_first_level = _within("euc_jp", 0xB0, 0xCF)

_EAST_ASIAN_ENCODINGS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("cp949", _within("euc_kr", 0xB0, 0xC8)),
    ("cp932", _is_japanese),
    ("gb18030", _within("gb2312", 0xB0, 0xD7)),
    ("euc_jp", _is_japanese),
    ("big5", _within("big5", 0xA4, 0xC6)),
)
"""In the order of trust where a text is as common in several."""
