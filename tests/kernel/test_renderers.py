"""Pictures of SVG drawings, by a stand-in for the library that renders them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.renderers import render_svg

if TYPE_CHECKING:
    from pathlib import Path

RENDERER = "import json\ndef svg_to_png(drawing, scale): return json.dumps(scale).encode()\n"
MOST = 1000


@pytest.fixture(autouse=True)
def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vl_convert.py").write_text(RENDERER)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.parametrize(
    ("attributes", "width", "height"),
    [
        ("width='3e6' height='1e6'", 3e6, 1e6),
        ("width='20in' height='10in'", 1920, 960),
        ("width='50cm' height='500mm'", 1890, 1890),
        ('width = "300pt" height="15000px"', 400, 15000),
        ("width='100%' height='100%' viewBox='0 0 4000 20.5'", 4000, 20.5),
        ("viewBox='-5,-5,10,10'", 10, 10),
        ("width='640' height='480' viewBox='0 0 1 1'", 640, 480),
    ],
)
def test_a_drawing_is_rendered_no_larger_than_is_shown(
    attributes: str, width: float, height: float
) -> None:
    picture = render_svg(f"<svg {attributes}></svg>", MOST)
    assert picture is not None
    scale = json.loads(picture)
    assert 1 <= scale * width <= MOST + 1
    assert 1 <= scale * height <= MOST + 1
    assert scale == 1 or scale * max(width, height) > MOST - 1


@pytest.mark.parametrize(
    "drawing",
    [
        "<svg width='100000' height='10'></svg>",
        "<svg width='1e300' height='1e999'></svg>",
        "<svg width='0' height='0'></svg>",
        "<svg viewBox='0 0 5000000 3'></svg>",
        "no drawing",
    ],
)
def test_a_drawing_of_which_nothing_would_be_seen_is_not_rendered(drawing: str) -> None:
    assert render_svg(drawing, MOST) is None


@pytest.mark.parametrize("attributes", ["", "width='auto' height='2em'", "viewBox='none'"])
def test_a_drawing_that_tells_no_size_is_rendered_as_it_is(attributes: str) -> None:
    assert render_svg(f"<svg {attributes}></svg>", MOST) == b"1.0"
