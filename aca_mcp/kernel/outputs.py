"""Displayed values, collected as MIME bundles in the order in which they appear."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT_CHARACTERS = 2**20
"""Of one representation of one value; more is cut in the middle."""

MAX_ATTACHED_BYTES = 32 * 2**20
"""Of all images of one execution together; those past it are left out, and said so."""


class OutputCollector:
    """The outputs of one execution, ready for a frame."""

    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []
        self.blobs: list[bytes] = []
        self._attached = 0

    def add(self, kind: str, bundle: Mapping[str, object], value: object = None) -> None:
        """Add a value's representations.

        Args:
            kind: ``display`` or ``result``.
            bundle: MIME type to representation, as IPython's formatters make it: binary types are
                base64 text or bytes.
            value: the value itself; a JSON scalar is added as ``application/json``.
        """
        data: dict[str, object] = {}
        for mime, content in bundle.items():
            if _is_binary(mime):
                self._attach(mime, content, data)
            else:
                text = content if isinstance(content, str) else json.dumps(content)
                data.setdefault(mime, _cut(text))  # a note about an image left out stays
        if type(value) in (bool, int, float, str):
            try:
                text = json.dumps(value, allow_nan=False)
            except ValueError:
                text = "null"  # what has no JSON form, such as nan
            if len(text) <= MAX_TEXT_CHARACTERS:
                data["application/json"] = text
        if data:
            self.entries.append({"kind": kind, "data": data})

    def clear(self) -> None:
        """Forget what was displayed so far."""
        self.entries.clear()
        self.blobs.clear()
        self._attached = 0

    def _attach(self, mime: str, content: object, data: dict[str, object]) -> None:
        raw = _bytes_of(content)
        if raw is None:
            return
        if self._attached + len(raw) > MAX_ATTACHED_BYTES:
            note = f"[{mime} of {len(raw):,} bytes left out: too large; save it to a file instead]"
            data["text/plain"] = note
            return
        self._attached += len(raw)
        data[mime] = {"blob": len(self.blobs)}
        self.blobs.append(raw)


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


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    half = MAX_TEXT_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"
