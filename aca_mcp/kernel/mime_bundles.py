"""What is told of one displayed value: its MIME bundle within bounds, and the best text of it.

A value has several representations. Readers outside the session get those that they can use, as
text and as pictures that can surely be shown. What a person would want whole is kept as a file.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .html_text import read_html
from .image_scaling import Drawn, Picture, fit
from .page_pictures import first_picture, has_ornaments_alone, without_code
from .renderers import render_svg
from .truncation import truncate_middle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .display_files import DisplayFiles

MAX_TEXT_CHARACTERS = 2**20
"""Of one representation of one value; more is cut in the middle."""
MAX_MARKUP_CHARACTERS = 256 * 1024
"""Of HTML and SVG that is passed on; longer ones are files, or nothing."""
MAX_ATTACHED_BYTES = 32 * 2**20
"""Of all pictures of one execution together; those past it are left out, and said so."""

_TEXTS = ("text/plain", "text/markdown", "text/latex", "application/json")
_BARE = re.compile(
    r"(?:<[^<>\n]*\bobject(?: at 0x[0-9a-fA-F]+)?>|<[^<>\n]* at 0x[0-9a-fA-F]+>"
    r"|alt\.\w*Chart\(\.\.\.\))(?:\n\nIf you see this message.*)?",
    re.DOTALL,
)
"""A text that says no more than which object it is."""
_MEDIA = re.compile(r"""src=["']data:((?:audio|video)/[\w.+-]+);base64,([\w+/=\s]+)["']""")
"""A sound or a film in a page."""
_EMBEDDED = re.compile(r"(data:[\w/+.-]+;base64,)[\w+/=]{64,}")
"""What a text brings along, which nobody can read."""
_DRAWN_PAGE = "HTML that scripts draw in a browser"
_SCRIPT_ALONE = "JavaScript, which nothing here runs"
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
"""In a page that does something."""
_DRAWS = re.compile(r"<script\b|\bsrcdoc\s*=", re.IGNORECASE)
_LOADER = re.compile(r"application/vnd\.\w+_(?:load|exec)\.v\d+\+json")
"""What a library loads into a notebook's page, to draw with it later, where that is all."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
_MARKUP = re.compile(r"\s*['\"]?<(?:!doctype|html|div|table|svg)\b", re.IGNORECASE)
"""What begins a text that is a page's source."""
_MATHS = re.compile(
    r"\s*(?:\$|\\\[|\\\(|\\begin\{(?:equation|align|gather|multline|eqnarray|(?:display)?math"
    r"|[bpvBV]?matrix|array|cases)\*?\})"
)
"""What begins LaTeX that is a formula, not a page to be set."""
_WORDS = {
    "text/html": "HTML",
    "image/svg+xml": "SVG drawing",
    "application/pdf": "PDF",
}


@dataclass
class Shown:
    """A displayed value, ready for a frame."""

    data: dict[str, str | bytes] = field(default_factory=dict)
    """MIME type to representation."""
    text: str = ""
    """What a reader of text is shown, where that is not one of the representations."""
    remarks: list[str] = field(default_factory=list)
    """What else there is to know, a line each."""
    files: list[str] = field(default_factory=list)
    """Paths of what was kept."""


_SCALARS = json.JSONEncoder(allow_nan=False)


class Bundles:
    """The displayed values of one execution.

    Args:
        files: keeps what cannot be shown as it is.
        max_side: pixels of a picture's longer side.
        max_attached_bytes: of all pictures together.
    """

    def __init__(
        self, files: DisplayFiles, max_side: int, max_attached_bytes: int = MAX_ATTACHED_BYTES
    ) -> None:
        self._max_attached_bytes = max_attached_bytes
        self._files = files
        self._max_side = max_side
        self._attached = 0

    def describe(
        self, bundle: Mapping[str, object], value: object = None, display_id: str = ""
    ) -> Shown:
        """Read a MIME bundle as IPython's formatters make it.

        Args:
            bundle: MIME type to representation; binary ones are base64 text or bytes.
            value: the value itself; a JSON scalar is added as ``application/json``.
            display_id: of a display that may be updated.
        """
        shown = Shown()
        bundle = {mime: _exact(each) for mime, each in bundle.items() if type(mime) is str}
        if "text/plain" not in bundle and any(map(_LOADER.fullmatch, bundle)):
            return shown
        is_told = "text/markdown" in bundle or "text/latex" in bundle
        for mime, content in bundle.items():
            if _is_binary(mime):
                if is_told and mime.startswith("image/"):
                    continue  # of a formula: front ends set the text instead, as readers do
                self._attach(shown, mime, content, display_id)
            else:
                self._add_text(shown, mime, content)
        self._choose_text(shown, bundle, display_id)
        if type(value) in (bool, int, float, str):
            shown.data["application/json"] = _scalar(value)
            if len(shown.data["application/json"]) > MAX_TEXT_CHARACTERS:
                del shown.data["application/json"]
        return shown

    def _add_text(self, shown: Shown, mime: str, content: object) -> None:
        text = content if isinstance(content, str) else _dumps(content)
        if mime in _TEXTS:
            shown.data[mime] = truncate_middle(text, MAX_TEXT_CHARACTERS)
        elif len(text) <= MAX_MARKUP_CHARACTERS:
            shown.data[mime] = text

    def _attach(self, shown: Shown, mime: str, content: object, display_id: str) -> None:
        raw = _bytes_of(content)
        if raw is None:
            shown.remarks.append(f"text that is no base64, though called {mime}")
            return
        if not mime.startswith("image/"):
            self._keep(shown, raw, mime, display_id)
            return
        if _has_picture(shown):
            return  # it is the same in another format
        picture = fit(raw, mime, self._max_side)
        if picture.remark:
            shown.remarks.append(picture.remark)
        if picture.data is None or not picture.is_original:
            self._keep(shown, raw, mime, display_id)
        self._show(shown, picture, mime)

    def _show(self, shown: Shown, picture: Picture, mime: str) -> None:
        if (data := picture.data) is None:
            return
        if self._attached + len(data) > self._max_attached_bytes:
            shown.remarks.append(
                f"{mime} of {len(data):,} bytes left out: too large together with the others; "
                "save it to a file instead"
            )
            return
        self._attached += len(data)
        shown.data[picture.mime] = bytes(data)

    def _choose_text(self, shown: Shown, bundle: Mapping[str, object], display_id: str) -> None:
        """Find a better text than ``text/plain`` where that says little, and keep the original."""
        plain = shown.data.get("text/plain", "")
        says_little = not plain or is_bare(str(plain)) or _MARKUP.match(str(plain)) is not None
        latex = shown.data.get("text/latex")
        if (markdown := bundle.get("text/markdown")) is not None:
            self._tell_markdown(shown, str(markdown))
            return
        if latex and (says_little or _MATHS.match(str(latex))):
            return
        if latex:
            shown.text = str(plain)
            return
        drawing, html = bundle.get("image/svg+xml"), bundle.get("text/html")
        if isinstance(drawing, str) and (says_little or html is None):
            self._draw(shown, drawing, display_id)
            shown.text = "" if says_little else str(plain)
        if isinstance(html, str) and (
            "\n" not in str(plain).strip() or says_little or _ADDRESS.search(str(plain))
        ):
            # Several lines of text are what a library made for readers of text.
            self._tell_page(shown, html, display_id, says_little=says_little)
        elif isinstance(html, str) and _SCRIPT.search(html) and not read_html(html)[0]:
            self._keep_page(shown, html, display_id)
        if says_little and not shown.text and not _has_picture(shown):
            self._say_what_there_is(shown, bundle)

    def _tell_page(self, shown: Shown, html: str, display_id: str, *, says_little: bool) -> None:
        """Show the text of a page, or a picture in it, and keep the page where it has more."""
        plain, text = str(shown.data.get("text/plain", "")), ""
        is_told = False
        if not _has_picture(shown):
            text, is_script = read_html(html)
            if text and not says_little and _ADDRESS.search(plain):
                # Fields of an object that nobody wrote a text for; or a table that has objects.
                says_little = len(text) < len(plain) / 2
                text = text if says_little else ""
            if says_little and is_script:
                if shown.data.pop("text/plain", None) is None:
                    shown.data.clear()  # a library's own scripts, of which nobody asked to know
                else:
                    shown.remarks.append(_SCRIPT_ALONE)
                return
            self._show_picture_of_page(shown, html)
            if not (plain or text or _has_picture(shown)) and _is_decoration(html):
                shown.data.clear()
                return
            is_told = bool(text) and not says_little and _letters(text) in _letters(plain)
        if is_told:
            text = ""  # it says no more
        if text:
            shown.text = truncate_middle(
                text if says_little else f"{plain}\n{text}", MAX_TEXT_CHARACTERS
            )
        if says_little or text or (_SCRIPT.search(html) and not is_told):
            is_drawn = says_little and not text and not _has_picture(shown)
            self._keep_page(shown, html, display_id, is_drawn=is_drawn)

    def _tell_markdown(self, shown: Shown, markdown: str) -> None:
        """Show the first picture that it has, and the text without what encodes one."""
        if not _has_picture(shown):
            self._show_picture_of_page(shown, without_code(markdown))
        text = _EMBEDDED.sub(r"\1...", markdown)
        if text != markdown or _has_picture(shown):
            shown.text = truncate_middle(text, MAX_TEXT_CHARACTERS)

    def _show_picture_of_page(self, shown: Shown, page: str) -> None:
        """Show the first picture of a page, as those of animations are."""
        found = first_picture(page, self._files.read)
        if found is None:
            return
        picture = fit(found.data, found.mime, self._max_side)
        if picture.data is None:
            return
        self._show(shown, picture, found.mime)
        if found.number > 1:
            shown.remarks.append(f"the first of {found.number:,} pictures in it is shown")

    def _draw(self, shown: Shown, drawing: str, display_id: str) -> None:
        """Keep a drawing, and show it where there is no picture of it and one can be made."""
        if _has_picture(shown):
            return
        self._keep(shown, drawing, "image/svg+xml", display_id)
        if len(drawing) > MAX_MARKUP_CHARACTERS:
            return
        if (png := render_svg(drawing, self._max_side)) is not None:
            self._show(shown, fit(Drawn(png), "image/png", self._max_side), "image/svg+xml")

    def _say_what_there_is(self, shown: Shown, bundle: Mapping[str, object]) -> None:
        if "application/javascript" in bundle:
            shown.remarks.append(_SCRIPT_ALONE)
        for mime in ("application/geo+json", "application/json"):
            if mime in bundle:
                shown.text = truncate_middle(_dumps(bundle[mime]), MAX_TEXT_CHARACTERS)
                return
        if shown.files or shown.remarks:
            shown.data.pop("text/plain", None)

    def _keep_page(
        self, shown: Shown, html: str, display_id: str, *, is_drawn: bool = False
    ) -> None:
        """Keep a page, or of one that only plays something what it plays."""
        media = _MEDIA.search(html)
        data = _bytes_of(media[2]) if media else None
        if media and data is not None:
            self._keep(shown, data, media[1], display_id)
        else:
            what = _DRAWN_PAGE if is_drawn and _DRAWS.search(html) else ""
            self._keep(shown, html, "text/html", display_id, what)

    def _keep(
        self, shown: Shown, content: bytes | str, mime: str, display_id: str, what: str = ""
    ) -> None:
        what = what or _WORDS.get(mime, mime)
        path = self._files.keep(content, mime, display_id)
        if path is None:
            shown.remarks.append(f"{what} that was not kept: too large, or no room")
            return
        shown.files.append(path)
        shown.remarks.append(f"{what}: {path}")


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _is_decoration(html: str) -> bool:
    """Whether a page shows nothing but the logos of its makers."""
    is_still = _DRAWS.search(html) is None and _MEDIA.search(html) is None
    return is_still and has_ornaments_alone(html)


def _has_picture(shown: Shown) -> bool:
    return any(isinstance(data, bytes) for data in shown.data.values())


def is_bare(text: str) -> bool:
    """Whether a text says no more than which object it is."""
    return _BARE.fullmatch(text.strip()) is not None


def _exact(content: object) -> object:
    """Text and bytes as such: a class of the code's own may lie about how long they are."""
    if isinstance(content, str):
        return str.__str__(content)
    if isinstance(content, bytes) and type(content) is not Drawn:
        return bytes.__getitem__(content, slice(None))
    return content


def _is_binary(mime: str) -> bool:
    kind = mime.partition("/")[0]
    return mime == "application/pdf" or (
        kind in ("image", "audio", "video") and mime != "image/svg+xml"
    )


def _bytes_of(content: object) -> bytes | None:
    if isinstance(content, bytes):
        return content
    try:
        return base64.b64decode(str(content).encode("ascii"), validate=False)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _scalar(value: object) -> str:
    try:
        return _SCALARS.encode(value)
    except ValueError:
        return "null"  # what has no JSON form, such as nan


def _dumps(content: object) -> str:
    try:
        return json.dumps(content, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(type(content))
