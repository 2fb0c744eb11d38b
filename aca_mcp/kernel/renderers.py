"""Which libraries there are that make pictures of what is not one, and pictures of SVG drawings.

Standard library only; a renderer is imported where there is something to render.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = re.compile(r"<svg\b[^>]*>")
_SIDE = re.compile(
    r"""\s(?:width|height)\s*=\s*["']\s*\+?((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*["']""",
    re.IGNORECASE,
)
_PIXELS = {
    "": 1.0,
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
}
"""Of the units that a drawing's sides may be in."""
_VIEW_BOX = re.compile(
    r"""\sviewBox\s*=\s*["'][^"']*?(\d+\.?\d*|\.\d+)[\s,]+(\d+\.?\d*|\.\d+)\s*["']"""
)
_SAID: set[str] = set()


def has(module: str, what: str, package: str) -> bool:
    """Whether a library is there; else say once which package would make pictures.

    Who reads it is told how to get that (``reports.remarks``).
    """
    if importlib.util.find_spec(module) is not None:
        return True
    if sys.platform == "wasi":
        say_once(f"There are no pictures of {what}: what makes them cannot run in WebAssembly.")
    else:
        say_once(f"Pictures of {what} need the package {package}.")
    return False


def picture(make: Callable[[], bytes]) -> dict[str, object]:
    """The picture that a renderer makes; where it cannot, why, and the figure is shown without."""
    try:
        return {"image/png": make()}
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        say_once(f"No picture could be made of this figure: {why[:300]}")
        return {}


def say_once(sentence: str) -> None:
    """Tell whoever reads what the code prints, unless it was told before."""
    if sentence not in _SAID:
        _SAID.add(sentence)
        print(sentence, file=sys.stderr)  # noqa: T201


def render_svg(drawing: str, max_side: int) -> bytes | None:
    """A drawing as PNG, by what the interpreter has for it; None if nothing can.

    Args:
        drawing: SVG.
        max_side: pixels of the picture's longer side.
    """
    scale = _scale(drawing, max_side)
    if scale is None:
        return None
    for module in ("vl_convert", "cairosvg"):
        if importlib.util.find_spec(module) is None:
            continue
        try:
            renderer: Any = importlib.import_module(module)
            if module == "vl_convert":
                return bytes(renderer.svg_to_png(drawing, scale=scale))
            return bytes(renderer.svg2png(bytestring=drawing.encode(), scale=scale))
        except Exception:  # noqa: S112 -- it is no drawing, or not for this one
            continue
    return None


def _scale(drawing: str, max_side: int) -> float | None:
    """By how much a drawing is to be made smaller; None if nothing would be seen of it then.

    That is where one side has less than a pixel, or where it is no drawing.
    """
    root = _ROOT.search(drawing)
    if root is None:
        return None
    sides = _sides(root[0])
    scale = min(1.0, max_side / max([1.0, *sides]))
    return scale if all(side * scale >= 1 for side in sides) else None


def _sides(root: str) -> list[float]:
    """Pixels of the sides that a drawing tells, by themselves or by its own coordinates."""
    told = [(number, unit.lower()) for number, unit in _SIDE.findall(root)]
    view = _VIEW_BOX.search(root)
    sides = [float(number) * _PIXELS[unit] for number, unit in told if unit in _PIXELS]
    return sides or (list(map(float, view.groups())) if view else [])
