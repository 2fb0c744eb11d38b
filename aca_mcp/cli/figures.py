"""Figures of a session for a person: saved beside them, and shown where the terminal can.

What a session says of its images is not believed: how many are saved and how large they are
together is bounded, an image that is the same as one before is not saved again, and only a PNG of
bounded size is decoded for a terminal.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.cli.transfers import host_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}
"""What is saved of an output that has several of them: the first."""
_MAX_FIGURES = 100
_MAX_BYTES = 256 << 20
_MAX_PIXELS = 25_000_000
_CELLS = 80
"""Width of a figure on a terminal."""


class Figures:
    """Saves the figures of one run of this program in the current directory."""

    def __init__(self) -> None:
        self._saved: dict[bytes, Path] = {}
        self._bytes = 0
        self._is_full = False

    def save(self, data: Mapping[str, str | bytes]) -> tuple[str, bytes | None] | None:
        """Save the image of an output, if it has one.

        Args:
            data: its representations.

        Returns:
            What to say of it, and the image if it was not there before and a terminal may show it.

        Raises:
            HostPathRefusedError: it cannot be written; nothing of it is left.
        """
        for mime_type, suffix in SUFFIXES.items():
            image = data.get(mime_type)
            if image is not None:
                content = image if isinstance(image, bytes) else image.encode()
                return self._save(content, suffix, shows=mime_type == "image/png")
        return None

    def _save(self, content: bytes, suffix: str, *, shows: bool) -> tuple[str, bytes | None] | None:
        digest = hashlib.sha256(content).digest()
        if (path := self._saved.get(digest)) is not None:
            return f"the same figure as {path}", None
        if len(self._saved) >= _MAX_FIGURES or self._bytes + len(content) > _MAX_BYTES:
            if self._is_full:
                return None
            self._is_full = True
            return (
                f"further figures are not saved: {_MAX_FIGURES} of them or {_MAX_BYTES >> 20} MiB "
                "together are the most"
            ), None
        path = _write_new(content, suffix)
        self._saved[digest] = path
        self._bytes += len(content)
        return f"saved {path}", content if shows else None


def shower(stdin: TextIO, stdout: TextIO, *, asks_first: bool) -> Callable[[bytes], None] | None:
    """How to show a figure on this terminal, or None where it cannot show pixels.

    kitty is shown images by its own protocol, and iTerm2 and others that know Sixel by that.

    Args:
        stdin: where a terminal answers.
        stdout: where it is asked, and shows.
        asks_first: ask now, rather than when there is a figure: somebody may be typing then.
    """
    if not (stdin.isatty() and stdout.isatty() and stdout is sys.stdout):
        return None
    if os.environ.get("TERM", "dumb") in {"dumb", "linux"}:
        return None  # they would show the question
    if asks_first and _terminal() is None:
        return None

    def show(content: bytes) -> None:
        if (draw := _terminal()) is not None:
            draw(content, stdout)

    return show


def _terminal() -> Callable[[bytes, TextIO], None] | None:
    """Ask the terminal of this process what it can show; how to show a PNG, or None."""
    try:
        # It asks when it is imported, and so once.
        from PIL import Image as images
        from rich.console import Console
        from textual_image.renderable import Image, SixelImage, TGPImage
    except ModuleNotFoundError:
        return None
    if Image not in (SixelImage, TGPImage):
        return None

    def draw(content: bytes, stdout: TextIO) -> None:
        with (
            contextlib.suppress(OSError, ValueError, SyntaxError, images.DecompressionBombError),
            images.open(io.BytesIO(content), formats=("PNG",)) as image,
        ):
            if image.width * image.height <= _MAX_PIXELS:
                image.load()
                console = Console(file=stdout)
                console.print(Image(image, width=min(_CELLS, console.width)))

    return draw


def _write_new(content: bytes, suffix: str) -> Path:
    number = 1
    while os.path.lexists(path := Path(f"figure-{number}{suffix}")):
        number += 1
    with host_file(path):
        # "x": not even a link that was made in this moment is followed.
        file = path.open("xb")
        try:
            with file:
                file.write(content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path
