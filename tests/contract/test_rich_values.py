"""What is shown of displays, figures and rich values is the same on every pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.pool import Output, StreamPart
from aca_mcp.server.results.report import report
from tests.contract.running import run, shown

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool


async def test_updates_and_clears_leave_the_last_state(pool: SessionPool, identifier: str) -> None:
    code = "h = display(0, display_id=True)\nfor n in range(50): h.update(n)"
    assert await shown(pool, identifier, code) == "49"
    code = "h = display(1, display_id='a'); display(2, display_id='a'); h.update(3)"
    assert await shown(pool, identifier, code) == "3\n3"
    code = (
        "from IPython.display import clear_output\n"
        "for n in range(30):\n    clear_output(wait=True); print(n)"
    )
    assert await shown(pool, identifier, code) == "29"
    code = (
        "import matplotlib.pyplot as plt\nfrom IPython.display import clear_output\n"
        "print('begun'); display('first')\n"
        "for n in range(4):\n    clear_output(wait=True); plt.plot([n]); plt.show()"
    )
    assert await shown(pool, identifier, code) == "[figure 1]"
    for last in ("print(n)", "display(n)"):
        code = f"for n in range(3000):\n    clear_output(wait=True); {last}"
        assert await shown(pool, identifier, code) == "2999", last
    assert await shown(pool, identifier, "display(1); clear_output(wait=True); print(2)") == "2"
    assert await shown(pool, identifier, "display(1); clear_output(wait=True); 2") == "2"
    assert await shown(pool, identifier, "display(1); clear_output(wait=True)") == "1"
    bar = "from IPython.display import ProgressBar\nfor _ in ProgressBar(3): pass"
    assert (await shown(pool, identifier, bar)).endswith("3/3")


async def test_html_is_told_as_its_text_and_kept(pool: SessionPool, identifier: str) -> None:
    page = "<table><tr><th>k<th>v<tr><td>a<td>1</table><script>x()</script>"
    text = await shown(pool, identifier, f"from IPython.display import HTML; HTML({page!r})")
    assert text.startswith("k  v\na  1\n[HTML: outputs/")
    path = text.rpartition(": ")[2].rstrip("]")
    assert await shown(pool, identifier, f"print(open({path!r}).read())") == page


@pytest.mark.parametrize(
    "made",
    [
        "Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + b'junk' * 50)",
        "Image(data=whole[:len(whole) // 2])",
    ],
)
async def test_bytes_that_are_no_image_are_a_sentence(
    pool: SessionPool, identifier: str, made: str
) -> None:
    code = (
        "import io, PIL.Image\nfrom IPython.display import Image\nbuffer = io.BytesIO()\n"
        "PIL.Image.effect_noise((200, 200), 90).save(buffer, 'png')\nwhole = buffer.getvalue()\n"
    )
    execution = await run(pool, identifier, code + made)
    assert report(execution).figures == ()
    assert "image" in report(execution).text


async def test_images_of_too_many_pixels_are_shown_smaller(
    pool: SessionPool, identifier: str
) -> None:
    code = "import PIL.Image; PIL.Image.new('RGB', (20000, 10))"
    told = report(await run(pool, identifier, code))
    assert len(told.figures) == 1
    assert "20000x10" in told.text
    code = "import matplotlib.pyplot as plt\nplt.figure(figsize=(8, 120)); plt.plot([1]);"
    assert len(report(await run(pool, identifier, code)).figures) == 1


async def test_the_value_is_told_after_any_number_of_displays(
    pool: SessionPool, identifier: str
) -> None:
    text = await shown(pool, identifier, "for n in range(1105): display(n)\n'value'")
    assert text.endswith("[value]\n'value'")
    assert "displayed values are left out" in text


FOR_PEOPLE = (
    ("import webbrowser; webbrowser.open('https://example.com/a')", "example.com/a was not opened"),
    ("webbrowser.get('firefox').open_new_tab('x' * 10**6)", "xxx… was not opened"),
    ("open('a b.html', 'w').write('x'); webbrowser.open('a b.html')", "a b.html stays a file of"),
    ("webbrowser.open('file://' + __import__('os').path.abspath('a b.html'))", "a b.html stays"),
)


async def test_what_would_open_in_a_browser_is_told_and_kept(
    pool: SessionPool, identifier: str
) -> None:
    for code, told in FOR_PEOPLE:
        text = await shown(pool, identifier, code)
        assert "There is no browser here" in text, code
        assert told in text, code
        assert text.rstrip().split("\n")[-1] in {"False", "[files written: a b.html]"}, code


async def test_a_value_that_has_text_and_no_representation_is_told_by_its_text(
    pool: SessionPool, identifier: str
) -> None:
    code = "class Graph:\n    def __str__(self): return 'a graph of 3 nodes'\n"
    assert await shown(pool, identifier, f"{code}Graph()") == "a graph of 3 nodes"
    assert await shown(pool, identifier, "display(Graph())") == "a graph of 3 nodes"
    code = "class Bad(Graph):\n    def __str__(self): raise ValueError\nBad()"
    assert (await shown(pool, identifier, code)).startswith("<__main__.Bad")


async def test_a_figure_that_was_displayed_is_not_shown_again(
    pool: SessionPool, identifier: str
) -> None:
    code = "import matplotlib.pyplot as plt\nf, a = plt.subplots(); a.plot([1]); display(f)"
    assert len(report(await run(pool, identifier, code)).figures) == 1


async def test_a_figure_is_shown_where_something_was_drawn(
    pool: SessionPool, identifier: str
) -> None:
    for drawn, count in (
        ("fig.text(0.5, 0.5, 'x')", 1),
        ("fig.figimage([[0, 1], [1, 0]])", 1),
        ("fig.subfigures(1, 2)[1].text(0.5, 0.5, 'x')", 1),
        ("fig.subfigures(1, 2)", 0),
        ("None", 0),
    ):
        code = f"import matplotlib.pyplot as plt\nfig = plt.figure()\n{drawn};"
        assert len(report(await run(pool, identifier, code)).figures) == count, drawn


async def test_a_chain_of_parts_is_all_that_there_is(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "print('a'); display(1); print('b')")
    parts = list(execution.timeline)
    assert [type(part) for part in parts] == [StreamPart, Output, StreamPart]
    assert "".join(part.text for part in parts if isinstance(part, StreamPart)) == "a\nb\n"


RICH = (
    (
        "Both('<style>.x{display:none}</style><i class=x>n</i><table><tr><th><th>v<tr><td>a<td>1')",
        "   v\na  1\n[HTML: outputs/",
    ),
    ("IFrame('https://example.com', 100, 100)", "[page: https://example.com"),
    ("SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><text>t</text></svg>')", "[SVG drawing: "),
    ("Audio(b'RIFF', rate=8000, embed=True)", "[audio/"),
    ("GeoJSON({'type': 'Point', 'coordinates': [1, 2]})", '{"type": "Point"'),
    ("Javascript('draw()')", "[JavaScript, which nothing here runs]"),
    ("Markdown('*a*')", "*a*"),
    ("Latex('$a$')", "$a$"),
    ("Code('x = 1', language='python')", "x = 1"),
)
"""Values with other forms than text, and what of them is told first."""


async def test_of_each_rich_value_the_best_text_is_told(pool: SessionPool, identifier: str) -> None:
    begin = (
        "from IPython.display import *\n"
        "class Both:\n    def __init__(self, html): self.html = html\n"
        "    def _repr_html_(self): return self.html"
    )
    await run(pool, identifier, begin)
    for made, told in RICH:
        text = await shown(pool, identifier, made)
        assert told in text, made  # a drawing may have become a picture first
        assert " object" not in text, made


async def test_glyphs_that_no_font_has_are_told_once(pool: SessionPool, identifier: str) -> None:
    code = (
        "import matplotlib.pyplot as plt\nplt.title('\U00012000\U00012001\U00012002')\n"
        "plt.plot([1]); plt.tight_layout(); plt.savefig('f.png');"
    )
    execution = await run(pool, identifier, code)
    told = report(execution)
    assert len(told.figures) == 1
    assert execution.stderr.text.count("\n") == 1
    assert "boxes" in execution.stderr.text


COUNTED = """\
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
class Counted(Line2D):
    def draw(self, renderer):
        drawn.append(self); super().draw(renderer)
def plot():
    drawn.clear()
    plt.figure(figsize=(1, 1)).add_subplot().add_line(Counted([0, 1], [0, 1]))
drawn = []
"""


@pytest.mark.parametrize("begin", ["plt.ion()", "plt.ioff()", "%matplotlib inline"])
async def test_a_figure_that_is_left_open_is_drawn_as_often_as_one_that_is_shown(
    pool: SessionPool, identifier: str, begin: str
) -> None:
    await run(pool, identifier, f"{COUNTED}{begin}")
    counts: list[str] = []
    for code in ("plot()", "plot(); plt.show()"):
        assert "[figure 1]" in await shown(pool, identifier, code)
        counts.append(await shown(pool, identifier, "len(drawn)"))
    assert counts[0] == counts[1] != "0"
