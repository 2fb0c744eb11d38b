"""The pictures of pages: those that a page brings along are tested with all that it tells."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from aca_mcp.kernel.display_files import MAX_BYTES, DisplayFiles
from aca_mcp.kernel.mime_bundles import Bundles, Shown


def describe(root: Path, page: str) -> Shown:
    mime = "text/html" if page.startswith("<") else "text/markdown"
    return Bundles(DisplayFiles(str(root), "cell-1"), 1568).describe({mime: page})


def pictures(shown: Shown) -> list[bytes]:
    return [content for content in shown.data.values() if isinstance(content, bytes)]


@pytest.mark.parametrize(
    "page",
    [
        "<h1>A</h1><img src='plot.png' width=400>",
        '<h1>A</h1><img alt="x" src="sub/plot.PNG?v=2">',
        "<h1>A</h1><img src=none.png><img src='sub/plot.PNG'>",
        "<h1>A</h1><img src='small.png' width='16'><img src='plot.png'>",
        "# A\n![p](plot.png) width=3",
        "# A\n![p](https://example.com/a.png)\n![](sub/plot.PNG)",
        "# A\nwidth = 10\n\n![p](plot.png)",
        "# A\nx <y, width = 10 ![p](plot.png)",
        "# A\nx < 2, width = 10 <img src=plot.png>",
        "# A\n![Mean height: 12 cm](plot.png)",
        "# A\nwidth = 10\n\n![height: 12](data:image/png;base64,{brought})",
        "# A\nx <y, width = 10 ![p](<data:image/png;base64,{brought}>) width=3 >",
        "<h1>A</h1><img alt='Mean height: 12 cm' src='plot.png'>",
        "# A\n![p](sub/my%20plot.png)",
        "# A\n![p](<sub/my plot.png>)",
        "# A\n![p](50%25.png)",
        "<h1>A</h1><img src='sub/my plot.png' width=400>",
        "<h1>A</h1><img src=sub/my%20plot.png>",
        "# A\nwrite `![a](small.png)` or\n```\n![b](small.png)\n```\n![p](plot.png)",
    ],
)
def test_a_picture_that_a_page_names_is_shown_with_its_text(root: Path, page: str) -> None:
    brought = base64.b64encode((root / "plot.png").read_bytes()).decode()
    shown = describe(root, page.replace("{brought}", brought))
    assert "A" in shown.text
    (picture,) = pictures(shown)
    assert Image.open(io.BytesIO(picture)).size == (90, 50)


@pytest.mark.parametrize(
    "source",
    [
        "none.png",
        "fifo.png",
        "bad.png",
        "sub.png",
        "huge.png",
        "https://a.example/p.png",
        "p\0.png",
    ],
)
def test_what_a_page_names_and_nobody_can_show_is_named(root: Path, source: str) -> None:
    descriptors = list(Path("/proc/self/fd").iterdir())
    shown = describe(root, f"<p>A</p><img src='{source}'>")
    assert list(Path("/proc/self/fd").iterdir()) == descriptors
    assert shown.text.startswith("A\n[image: ")
    assert pictures(shown) == []
    assert not any("pictures" in each for each in shown.remarks)


@pytest.mark.parametrize(
    "code",
    [
        "`![p](plot.png)`",
        "``a ` ![p](plot.png)``",
        "```markdown\n![p](plot.png)\n```",
        "  ~~~\n```\n<img src=plot.png>\n  ~~~~",
        "```\n![p](plot.png)",
        "`<img src='data:image/png;base64,iVBORw0KGgo='>`",
    ],
)
def test_a_picture_that_is_quoted_as_code_is_not_shown(root: Path, code: str) -> None:
    shown = describe(root, f"# A\n\n{code}")
    assert shown.remarks == []
    assert pictures(shown) == []


@pytest.mark.parametrize(
    "before",
    [
        "- ```py\n  x = 1\n  ```\n\n",
        "1. ```\n   x = 1\n   ```\n\n",
        "> - ~~~\n>   x = 1\n>   ~~~\n\n",
        "```\r\nx = 1\r\n```\r\n\r\n",
        "It is 5` long.\n\n",
        "A \\` and ",
    ],
)
def test_a_picture_behind_code_that_has_ended_is_shown(root: Path, before: str) -> None:
    shown = describe(root, f"# A\n\n{before}![p](plot.png)\n\nand 6` wide")
    assert len(pictures(shown)) == 1


def test_a_picture_is_shown_from_wherever_code_may_read(root: Path) -> None:
    for source in (root / "plot.png", "../plot.png"):
        assert len(pictures(describe(root / "sub", f"<p>A</p><img src='{source}'>"))) == 1


def test_of_several_that_are_named_the_first_is_shown(root: Path) -> None:
    shown = describe(root, "<img src='plot.png'><img src='small.png'>")
    assert len(pictures(shown)) == 1
    assert shown.remarks[0] == "the first of 2 pictures in it is shown"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A work directory with what the pages name."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub.png").mkdir()
    for path in ("plot.png", "sub/plot.PNG", "sub/my plot.png", "50%25.png"):
        Image.new("RGB", (90, 50), "red").save(tmp_path / path, "PNG")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "small.png")
    (tmp_path / "bad.png").write_text("junk")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(tmp_path / "fifo.png")
    return tmp_path
