"""Widgets, as a reader of text is told of them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.widgets import DRAWN, OPERATED
from tests.kernel.results import run
from tests.support.pictures import png
from tests.support.widget_library import WIDGET

if TYPE_CHECKING:
    from aca_mcp.kernel.interpreter import Interpreter

OUTPUT = "class Output(Widget): ..."


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("ipywidgets.widgets.widget")
    exec(WIDGET, vars(module))
    exec(OUTPUT, vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def shown(interpreter: Interpreter, code: str) -> list[tuple[str, tuple[str, ...]]]:
    begin = "import sys\nfrom IPython.display import display\n"
    begin += "globals().update(vars(sys.modules['ipywidgets.widgets.widget']))\n"
    outputs = run(interpreter, begin + code).outputs
    return [(each.text or str(each.data["text/plain"]), each.remarks) for each in outputs]


@pytest.mark.parametrize(
    ("widget", "text"),
    [
        (
            "IntSlider(value=3, min=0, max=9, description='n', disabled=False)",
            "n: 3 (IntSlider, 0 to 9)",
        ),
        ("Dropdown(value='b', options=('a', 'b'), disabled=False)", "b (Dropdown, of a, b)"),
        ("Text(value='x' * 10**6, disabled=False)", f"{'x' * 500}… (Text)"),
        ("Button(description='Go', disabled=False)", "Button 'Go'"),
        ("Box(children=[Label(value='a'), Text(value='t', disabled=False)])", "a\nt (Text)"),
    ],
)
def test_what_a_person_would_operate_is_told_as_it_stands(
    interpreter: Interpreter, widget: str, text: str
) -> None:
    assert shown(interpreter, widget) == [(text, (OPERATED,))]


@pytest.mark.parametrize(
    ("widget", "text"),
    [
        ("HTML(value='<h3>T</h3><table><tr><td>a<td>1</table><script>x()</script>')", "T\n\na  1"),
        ("Label(value='total', description='')", "total"),
        (
            "Tab(children=[Label(value='a'), Label(value='b')], titles=('One', 'Two'))",
            "One:\na\nTwo:\nb",
        ),
        ("IntProgress(value=4, min=0, max=10)", "4 (IntProgress, 0 to 10)"),
        ("Bar(bar='50%|##   | 1/2', children=[])", "50%|##   | 1/2"),
        ("Output(outputs=[{'output_type': 'stream', 'text': 'kept\\n'}])", "kept"),
    ],
)
def test_what_only_shows_something_is_told_without_more(
    interpreter: Interpreter, widget: str, text: str
) -> None:
    assert shown(interpreter, widget) == [(text, ())]


def test_of_a_picture_the_picture_is_shown(interpreter: Interpreter) -> None:
    picture = png(width=5)
    code = "import sys; W = sys.modules['ipywidgets.widgets.widget']\n"
    assert run(interpreter, f"{code}W.Image(value={picture!r}, format='png')").images == [picture]


def test_of_a_box_the_pictures_stand_between_the_texts(interpreter: Interpreter) -> None:
    picture = png(width=5)
    inner = f"Label(value='a'), Image(value={picture!r}, format='png'), Label(value='b')"
    assert shown(interpreter, f"Box(children=[{inner}])") == [("a", ()), ("", ()), ("b", ())]


def test_what_has_no_form_but_a_browsers_says_so_in_few_words(interpreter: Interpreter) -> None:
    [(text, remarks)] = shown(interpreter, "Map(center=list(range(9000)))")
    assert len(text) <= 600
    assert remarks == (DRAWN,)


def test_widgets_are_shown_as_they_are_at_the_end(interpreter: Interpreter) -> None:
    code = "bar = Bar(bar='0%', children=[]); display(bar); bar.bar = '100%'\n"
    assert shown(interpreter, code) == [("100%", ())]
    assert shown(interpreter, f"{code}bar.close()") == [("", ())]


def test_that_nobody_operates_widgets_is_said_once(interpreter: Interpreter) -> None:
    told = shown(interpreter, "for n in range(3): display(Text(value=str(n), disabled=False))")
    assert told == [("0 (Text)", (OPERATED,)), ("1 (Text)", ()), ("2 (Text)", ())]


def test_a_tree_of_widgets_without_end_is_told_in_bounds(interpreter: Interpreter) -> None:
    code = "box = Box(children=[])\nbox.children = [box] * 100\nbox"
    [(text, _)] = shown(interpreter, code)
    assert len(text) < 2**20
