"""Which part of a figure of matplotlib is drawn, and with how many dots per inch.

Imports nothing of matplotlib: figures bring along what measures them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_PIXELS = 25_000_000
"""Of a figure that is drawn to be shown; each takes memory and time, and readers are shown few."""
_MAX_SIDE = 2**15
"""Pixels: matplotlib 3.9 draws nothing to the right of it, and refuses a side of twice as many."""


def box_of_near(figure: Any, renderer: Any, measure: Callable[[Any], Any]) -> Any:
    """The box of what is not far away from a figure, measured like that of all."""
    around = figure.bbox.expanded(3, 3)
    far = [each for each in _parts(figure) if not _reaches(each, around, renderer)]
    # A list of those that are near would be measured anew for each of the axes.
    for each in far:
        each.set_in_layout(False)
    try:
        return measure(renderer)
    finally:
        for each in far:
            each.set_in_layout(True)


def _parts(figure: Any) -> list[Any]:
    """What stands in it, in its axes and in what these contain, but for its axes themselves."""
    parts: dict[int, Any] = {}
    containers = [figure]
    for container in containers:
        found = {id(each): each for each in container.get_default_bbox_extra_artists()}
        new = [each for key, each in found.items() if key not in parts]
        containers += [each for each in new if hasattr(each, "get_default_bbox_extra_artists")]
        parts |= found
    for axes in figure.axes:
        parts.pop(id(axes), None)
    return list(parts.values())


def _reaches(artist: Any, around: Any, renderer: Any) -> bool:
    box = artist.get_tightbbox(renderer)
    return box is None or box.overlaps(around)


class TooLargeError(Exception):
    """What is to be drawn has more pixels than are drawn."""

    def __init__(self, box: Any) -> None:
        super().__init__()
        self.inches: tuple[float, float] = box.width, box.height


def can_be_drawn(box: Any, dpi: float) -> bool:
    """Whether a picture of this part of a figure, in inches, is one within bounds."""
    return in_bounds(box.width, box.height, dpi) == dpi


def in_bounds(width: float, height: float, dpi: float) -> float:
    """As many dots per inch as can be drawn of so many inches, at most those that were chosen."""
    times = max(
        (width * height * dpi**2 / _MAX_PIXELS) ** 0.5, max(width, height) * dpi / _MAX_SIDE
    )
    return dpi if times <= 1 else dpi / times
