"""Displayed values: what is told of them, in which form, and never without a bound."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from aca_mcp.kernel.display_files import DisplayFiles
from aca_mcp.kernel.image_scaling import MAX_BYTES
from aca_mcp.kernel.mime_bundles import MAX_TEXT_CHARACTERS, Bundles, Shown, is_bare

if TYPE_CHECKING:
    from collections.abc import Mapping


def png(width: int = 4, height: int = 3) -> bytes:
    return saved(Image.new("RGB", (width, height), "red"), "PNG")


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)  # pyright: ignore[reportArgumentType] -- whatever the format takes
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((width, height), 100).convert(mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def describe(root: Path, bundle: Mapping[str, object], value: object = None) -> Shown:
    return Bundles(DisplayFiles(str(root), "cell-1"), 1568).describe(bundle, value)


def test_text_stays_text_and_an_image_is_bytes(root: Path) -> None:
    data = png()
    encoded = base64.b64encode(data).decode()
    shown = describe(root, {"text/plain": "<Figure>", "image/png": encoded})
    assert shown.data == {"text/plain": "<Figure>", "image/png": data}
    assert shown.remarks == []


@pytest.mark.parametrize("mime", ["audio/wav", "video/mp4", "application/pdf"])
def test_what_cannot_be_shown_is_kept_as_a_file_and_named(root: Path, mime: str) -> None:
    shown = describe(root, {mime: b"content", "text/plain": "<X object>"})
    (path,) = shown.files
    assert (root / path).read_bytes() == b"content"
    assert path in shown.remarks[0]
    assert shown.data == {}


def test_a_representation_that_is_json_already_becomes_its_text(root: Path) -> None:
    shown = describe(root, {"application/vnd.x+json": {"data": [1, 2]}})
    assert shown.data == {"application/vnd.x+json": '{"data": [1, 2]}'}


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "text", ""])
def test_a_scalar_is_there_as_json_too(root: Path, value: object) -> None:
    data = describe(root, {"text/plain": "..."}, value).data
    assert data["application/json"] == json.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_null(root: Path, value: float) -> None:
    assert describe(root, {"text/plain": "..."}, value).data["application/json"] == "null"


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 1j, "x" * (MAX_TEXT_CHARACTERS + 1)])
def test_other_values_are_not(root: Path, value: object) -> None:
    assert "application/json" not in describe(root, {"text/plain": "..."}, value).data


def test_long_text_is_cut_in_the_middle(root: Path) -> None:
    half = MAX_TEXT_CHARACTERS // 2
    shown = describe(root, {"text/plain": "a" * 2 * half + "b" * 2 * half})
    assert (
        shown.data["text/plain"] == f"{'a' * half}\n[... {2 * half:,} characters ...]\n{'b' * half}"
    )


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n" + b"junk" * 50, png(400, 300)[:200], b"", b"GIF89a", b"<svg/>"]
)
def test_bytes_that_are_no_image_are_never_shown_as_one(root: Path, data: bytes) -> None:
    shown = describe(root, {"image/png": data, "text/plain": "<Image object>"})
    assert not any(isinstance(content, bytes) for content in shown.data.values())
    assert "image" in shown.remarks[0]
    assert [(root / path).read_bytes() for path in shown.files] == [data]


def test_text_that_is_no_base64_is_not_an_image(root: Path) -> None:
    shown = describe(root, {"image/png": "not base64!", "text/plain": "<Image object>"})
    assert shown.remarks == ["text that is no base64, though called image/png"]


@pytest.mark.parametrize("size", [(20_000, 10), (10, 3000), (1569, 1568)])
def test_an_image_of_too_many_pixels_is_shown_smaller_and_kept_whole(
    root: Path, size: tuple[int, int]
) -> None:
    shown = describe(root, {"image/png": png(*size)})
    with Image.open(io.BytesIO(bytes_of(shown))) as image:
        assert max(image.size) == 1568
    (path,) = shown.files
    with Image.open(root / path) as original:
        assert original.size == size
    assert f"{size[0]}x{size[1]}" in shown.remarks[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "CMYK", "1"])
def test_a_photograph_becomes_a_jpeg_that_fits(root: Path, mode: str) -> None:
    form = "TIFF" if mode == "CMYK" else "PNG"
    picture = noise(1100, 900, "I").convert(mode) if mode == "I;16" else noise(1100, 900, mode)
    shown = describe(root, {"image/png": saved(picture, form)})
    data = bytes_of(shown)
    assert len(data) <= MAX_BYTES
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert max(image.size) > 500


@pytest.mark.parametrize(
    ("mode", "form", "brightest"),
    [("I;16", "PNG", 60_000), ("F", "TIFF", 0.5), ("I", "TIFF", 9000)],
)
def test_greys_of_more_than_eight_bits_are_shown_as_such_of_eight(
    root: Path, mode: str, form: str, brightest: float
) -> None:
    picture = Image.new(mode, (20, 10))
    picture.paste(brightest if mode == "F" else int(brightest), (0, 0, 10, 10))
    shown = describe(root, {"image/png": saved(picture, form)})
    with Image.open(io.BytesIO(bytes_of(shown))) as image:
        assert (image.mode, image.getextrema(), image.getpixel((15, 5))) == ("L", (0, 255), 0)
    assert len(shown.files) == 1


def test_an_image_of_printing_inks_is_shown_in_the_colours_of_screens(root: Path) -> None:
    data = saved(Image.new("CMYK", (20, 10), (255, 0, 0, 0)), "JPEG")
    with Image.open(io.BytesIO(bytes_of(describe(root, {"image/jpeg": data})))) as image:
        assert image.mode == "RGB"


def test_a_transparent_image_stays_transparent(root: Path) -> None:
    picture = Image.new("RGBA", (3000, 100), (255, 0, 0, 0))
    with Image.open(
        io.BytesIO(bytes_of(describe(root, {"image/png": saved(picture, "PNG")})))
    ) as got:
        assert got.format == "PNG"
        assert got.mode == "RGBA"


def test_an_animation_is_its_first_frame_and_a_file(root: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "green")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    shown = describe(root, {"image/gif": data})
    assert shown.data.keys() == {"image/png"}
    assert "3 frames" in shown.remarks[0]
    assert [(root / path).read_bytes() for path in shown.files] == [data]


def test_images_past_the_bound_are_left_out_and_said_so(root: Path) -> None:
    collector = Bundles(DisplayFiles(str(root), "cell-1"), 1568, max_attached_bytes=len(png()) + 5)
    assert "image/png" in collector.describe({"image/png": png()}).data
    second = collector.describe({"image/png": png()})
    assert second.data == {}
    assert "left out" in second.remarks[0]


TABLE = "<table><tr><th>k</th><th>v</th></tr><tr><td>a</td><td>1</td></tr></table>"
OBJECT = "<IPython.core.display.HTML object>"


@pytest.mark.parametrize(
    ("plain", "html", "text"),
    [
        (OBJECT, TABLE, "k  v\na  1"),
        ("<x.Styler object at 0x7f0000000000>", TABLE, "k  v\na  1"),
        ("", TABLE, "k  v\na  1"),
        ("T(a=<x.A object at 0x7f00>,\n  b=<x.B object at 0x7f01>)", TABLE, "k  v\na  1"),
        ("   k\n0  <x.A object at 0x7f00>", "<pre>   k\n0  &lt;x.A object at 0x7f00></pre>", ""),
        ("Thing(a=1)", TABLE, "Thing(a=1)\nk  v\na  1"),
        ("   k  v\n0  a  1", TABLE, ""),
        ("3/10 [====]", "<progress value=3 max=10></progress>", ""),
    ],
)
def test_the_text_of_a_page_is_told_where_the_plain_text_says_less(
    root: Path, plain: str, html: str, text: str
) -> None:
    shown = describe(root, {"text/plain": plain, "text/html": html})
    assert shown.text == text
    assert [(root / path).read_text() for path in shown.files] == ([html] if text else [])


@pytest.mark.parametrize("mime", ["text/markdown", "text/latex"])
def test_markdown_and_latex_are_told_as_they_are(root: Path, mime: str) -> None:
    shown = describe(root, {mime: "*a*", "text/plain": OBJECT, "text/html": "<b>a</b>"})
    assert shown.data[mime] == "*a*"
    assert (shown.text, shown.files) == ("", [])


@pytest.mark.parametrize("word", ["HTML", "object", "core", "P"])
def test_no_text_of_a_page_is_in_what_says_only_which_object_it_is(root: Path, word: str) -> None:
    for plain in ("<IPython.core.display.HTML object>", f"<div>{word}</div>", ""):
        shown = describe(root, {"text/plain": plain, "text/html": f"<p>{word}</p>"})
        assert shown.text == word


def test_a_picture_in_markdown_is_shown_and_its_encoding_is_not(root: Path) -> None:
    embedded = base64.b64encode(png(9, 5)).decode()
    markdown = f"# A\n![b](data:image/png;base64,{embedded})\nwidth = 3"
    shown = describe(root, {"text/markdown": markdown, "text/plain": OBJECT})
    assert shown.text == "# A\n![b](data:image/png;base64,...)\nwidth = 3"
    (picture,) = [content for content in shown.data.values() if isinstance(content, bytes)]
    assert Image.open(io.BytesIO(picture)).size == (9, 5)
    assert shown.data["text/markdown"] == markdown


@pytest.mark.parametrize("mime", ["text/markdown", "text/latex"])
def test_a_formula_is_told_and_not_drawn(root: Path, mime: str) -> None:
    shown = describe(root, {"text/plain": "x", "image/png": png(), mime: "$x^2$"})
    assert shown.data == {"text/plain": "x", mime: "$x^2$"}
    assert shown.text == ""


def test_a_page_that_only_a_browser_can_show_is_kept_and_named(root: Path) -> None:
    page = "<div id='x'></div><script>draw(" + "1," * 400_000 + ")</script>"
    shown = describe(root, {"text/plain": "figure: 3 bars", "text/html": page})
    assert shown.data == {"text/plain": "figure: 3 bars"}
    assert (root / shown.files[0]).read_text() == page


def test_a_script_without_anything_to_draw_in_is_one_line(root: Path) -> None:
    page = "<script>connect()</script><style>p {}</style>"
    shown = describe(root, {"text/plain": "<X object>", "text/html": page})
    assert (shown.data, shown.text, shown.files) == ({"text/html": page}, "", [])
    assert shown.remarks == ["JavaScript, which nothing here runs"]


@pytest.mark.parametrize(
    "page", ["<div></div><script>map()</script>", "<iframe srcdoc='&lt;script>map()'></iframe>"]
)
def test_a_page_that_scripts_draw_is_called_so(root: Path, page: str) -> None:
    shown = describe(root, {"text/plain": "<Map object>", "text/html": page})
    assert shown.remarks == [f"HTML that scripts draw in a browser: {shown.files[0]}"]


@pytest.mark.parametrize("kind", ["holoviews_load.v0", "bokehjs_load.v0", "holoviews_exec.v0"])
def test_what_a_library_loads_into_a_page_is_not_told(root: Path, kind: str) -> None:
    loaded = {f"application/vnd.{kind}+json": "x()", "application/javascript": "x()"}
    assert describe(root, loaded) == Shown()
    assert describe(root, {"text/html": "<style>a{}</style><script>x()</script>"}) == Shown()


def test_a_page_that_shows_logos_alone_is_not_told(root: Path) -> None:
    logo = f"<img src='data:image/png;base64,{base64.b64encode(png()).decode()}' height=15>"
    page = f"<div>{logo}<span title='Extension loaded'>ⓘ</span></div>"
    assert describe(root, {"text/html": page}) == Shown()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("plain", ["Layout", "Layout\n  .Curve", "<Layout object at 0x1>"])
def test_what_scripts_draw_is_kept_beside_any_text(root: Path, plain: str) -> None:
    shown = describe(root, {"text/plain": plain, "text/html": "<div></div><script>x()</script>"})
    assert [Path(path).suffix for path in shown.files] == [".html"]


def test_a_page_that_says_the_same_as_the_text_is_not_told_again(root: Path) -> None:
    page = "<div>figure(<br>id = '1', …)</div><script>x()</script>"
    shown = describe(root, {"text/plain": "figure(id='1', ...)", "text/html": page})
    assert (shown.text, shown.remarks) == ("", [])


@pytest.mark.parametrize("sized", ["style='height:25px'", 'width="32"', "height = 9"])
def test_the_logo_of_whoever_made_a_page_is_not_its_picture(root: Path, sized: str) -> None:
    logo, picture = (base64.b64encode(png(width)).decode() for width in (5, 6))
    page = f"<img {sized} src='data:image/png;base64,{logo}'>"
    bundle = {"text/plain": "<HTML object>", "text/html": page}
    assert "image/png" not in describe(root, bundle).data
    page = page.replace(f"{sized} src", "src").replace(">", f" {sized}>")
    page += f"<img width='100%' src='data:image/png;base64,{picture}'>"
    shown = describe(root, {"text/html": page})
    assert shown.data["image/png"] == png(6)
    assert not any("pictures in it" in each for each in shown.remarks)


@pytest.mark.parametrize("end", ["", "\\\n"])
def test_of_the_pictures_that_a_page_brings_along_the_first_is_shown(root: Path, end: str) -> None:
    uris = [base64.b64encode(saved(Image.new("RGB", (9, n)), "PNG")).decode() for n in (5, 6)]
    tags = "".join(
        f"<img src='data:image/png;base64,{each[:60]}{end}{each[60:]}'>" for each in uris
    )
    logo = f"<style>a {{ background: url('data:image/png;base64,{uris[1]}') }}</style>"
    page = f"{logo}<p>Two</p>{tags}"
    shown = describe(root, {"text/plain": "<X object>", "text/html": page})
    (picture,) = [content for content in shown.data.values() if isinstance(content, bytes)]
    assert Image.open(io.BytesIO(picture)).size == (9, 5)
    assert shown.text == "Two"
    assert shown.remarks[0] == "the first of 2 pictures in it is shown"


def test_a_photograph_is_shown_upright(root: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the left
    photograph = saved(Image.new("RGB", (60, 20), "red"), "JPEG", exif=turned)
    shown = describe(root, {"image/jpeg": photograph})
    (picture,) = [content for content in shown.data.values() if isinstance(content, bytes)]
    assert Image.open(io.BytesIO(picture)).size == (20, 60)
    assert (root / shown.files[0]).read_bytes() == photograph


def test_of_a_player_what_it_plays_is_kept(root: Path) -> None:
    sound = base64.b64encode(b"RIFF").decode()
    html = f'<audio><source src="data:audio/wav;base64,{sound}">cannot play</audio>'
    shown = describe(root, {"text/plain": "<IPython.lib.display.Audio object>", "text/html": html})
    assert [(path, (root / path).read_bytes()) for path in shown.files] == [
        ("outputs/cell-1-1.wav", b"RIFF")
    ]


def test_a_drawing_is_kept_and_passed_on(root: Path) -> None:
    shown = describe(root, {"image/svg+xml": "<svg/>", "text/plain": "<X object>"})
    assert shown.files == ["outputs/cell-1-1.svg"]
    assert shown.data["image/svg+xml"] == "<svg/>"


def test_a_drawing_is_kept_beside_a_text_that_says_something(root: Path) -> None:
    square = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
    shown = describe(root, {"image/svg+xml": square, "text/plain": "<POLYGON ((0 0, 1 0))>"})
    assert (root / shown.files[0]).read_text() == square
    assert shown.text == "<POLYGON ((0 0, 1 0))>"


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("in the way")
    shown = describe(tmp_path, {"application/pdf": b"%PDF"})
    assert shown.files == []
    assert "not kept" in shown.remarks[0]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (OBJECT, True),
        ("<pandas.io.formats.style.Styler at 0x7f10>", True),
        ("<folium.folium.Map object at 0x7f10>", True),
        ("alt.Chart(...)", True),
        ("<VegaLite 5 object>\n\nIf you see this message, it means ...", True),
        ("<BarContainer object of 3 artists>", False),
        ("<Axes: >", False),
        ("3", False),
        ("LogisticRegression()", False),
    ],
)
def test_a_text_that_only_names_its_object_is_known(text: str, bare: bool) -> None:
    assert is_bare(text) == bare


def bytes_of(shown: Shown) -> bytes:
    (data,) = [content for content in shown.data.values() if isinstance(content, bytes)]
    return data
