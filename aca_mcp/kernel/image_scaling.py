"""Pictures made fit to be shown: decoded to be sure of them, and no larger than readers take.

Uses Pillow, where the interpreter has it. Where it has not, a picture is passed on as it is, and
whoever shows it looks at its structure.
"""

# Pillow need not be there for the types, either.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_BYTES = 500_000
"""Of one picture that is shown. Photographs become JPEG, others smaller, to keep it."""
MAX_SIDE = 1568
"""Pixels of the longer side, unless the caller says otherwise: models see no more."""
_SHOWN = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_USUAL_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
"""Others are read by some and not by all: inks, and greys of sixteen bits."""
_ORIENTATION = 0x0112
"""The tag of EXIF."""
_QUALITIES = (85, 70)
_SMALLER = 0.7


@dataclass(frozen=True)
class Picture:
    """What there is to show of an image."""

    data: bytes | None
    """None if it cannot be shown."""
    mime: str = ""
    is_original: bool = True
    """Nothing of it is missing."""
    remark: str = ""
    """What the reader must know: that it is smaller, or why it is not there."""


class Drawn(bytes):
    """A PNG that was drawn here, and need not be decoded to be sure of it."""

    __slots__ = ()

    @property
    def longer_side(self) -> int:
        """Pixels."""
        return max(int.from_bytes(self[16:20], "big"), int.from_bytes(self[20:24], "big"))


def fit(data: bytes, mime: str, max_side: int) -> Picture:
    """Decode an image, and make it as small as it has to be."""
    if isinstance(data, Drawn) and data.longer_side <= max_side and len(data) <= MAX_BYTES:
        return Picture(data, mime)
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError, features
    except (Exception, SystemExit):  # not there, or something else of that name is
        return Picture(data, mime)
    try:
        with _quietly(Image), Image.open(io.BytesIO(data)) as image:
            frames = getattr(image, "n_frames", 1)
            form = _SHOWN.get(image.format or "")
            if form == "image/jpeg" and not features.check("jpg"):
                return Picture(data, form)  # a Pillow that cannot decode it, as in WebAssembly
            image.load()  # decodes it: half a file is found out here
            if frames > 1:
                return _first_frame(image, frames, max_side)
            if image.getexif().get(_ORIENTATION, 1) != 1:
                # As a camera was held: people are shown it upright, and models are not.
                return _smaller(ImageOps.exif_transpose(image), max_side)
            is_small = max(image.size) <= max_side and len(data) <= MAX_BYTES
            if form and is_small and image.mode in _USUAL_MODES:
                return Picture(data, form)
            return _smaller(image, max_side)
    except UnidentifiedImageError:
        return Picture(None, remark=f"{len(data):,} bytes that are no image, though called {mime}")
    except Image.DecompressionBombError:
        return Picture(None, remark=f"an image of too many pixels, {mime}")
    except Exception as error:
        what = str(error)[:100] or type(error).__name__
        return Picture(None, remark=f"an image that cannot be decoded, {mime}: {what}")


@contextmanager
def _quietly(pillow: Any) -> Generator[None]:
    """Say nothing of many pixels: too many are refused, and nobody chose to open them here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
        yield


def _first_frame(image: Any, frames: int, max_side: int) -> Picture:
    picture = _smaller(image, max_side)
    remark = f"an animation of {frames} frames; the first is shown"
    return Picture(picture.data, picture.mime, is_original=False, remark=remark)


def _smaller(image: Any, max_side: int) -> Picture:
    from PIL import Image

    width, height = image.size
    if image.mode.startswith(("I", "F")):
        image = _as_grey(image)
    elif image.mode not in ("RGB", "RGBA", "L", "LA"):
        # Palettes resize badly.
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    factor = min(1.0, max_side / max(width, height))
    while True:
        shape = max(1, round(width * factor)), max(1, round(height * factor))
        scaled = image if factor == 1 else image.resize(shape, Image.Resampling.LANCZOS)
        for data, mime in _encodings(scaled):
            if len(data) <= MAX_BYTES:
                remark = ""
                if factor < 1:
                    remark = f"shown at {shape[0]}x{shape[1]} pixels; it has {width}x{height}"
                return Picture(data, mime, is_original=False, remark=remark)
        factor *= _SMALLER


def _as_grey(image: Any) -> Any:
    """Greys of more than eight bits as such of eight, from the darkest to the brightest there is.

    What converts them otherwise cuts them off at 255.
    """
    darkest, brightest = image.getextrema()
    factor = 255 / ((brightest - darkest) or 1)

    def grey(value: Any) -> Any:
        return value * factor - darkest * factor

    return image.point(grey).convert("L")


def _encodings(image: Any) -> Any:
    """The image as files: sharp first, and small where that is too large."""
    from PIL import features

    yield _saved(image, "PNG", optimize=max(image.size) < 1000), "image/png"
    flat = image
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema()[0] < 255:
            return  # what is transparent in it would be lost
        flat = image.convert("RGB")
    for quality in _QUALITIES if features.check("jpg") else ():
        yield _saved(flat, "JPEG", quality=quality), "image/jpeg"


def _saved(image: Any, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
