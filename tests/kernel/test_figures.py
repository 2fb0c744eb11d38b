"""Figures that code draws, however it draws them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel.results import run

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.kernel.interpreter import Interpreter


@pytest.mark.parametrize("backend", ["", "import matplotlib; matplotlib.use('Agg')\n"])
@pytest.mark.parametrize("end", ["", "plt.show()\n", "plt.show(); plt.show()\n"])
def test_figures_are_shown_once_and_in_order(
    interpreter: Interpreter, backend: str, end: str
) -> None:
    result = run(
        interpreter,
        f"{backend}import matplotlib.pyplot as plt\n"
        "for inches in (1, 2, 3): plt.figure(figsize=(inches, 1), dpi=50).add_subplot()\n"
        f"{end}",
    )
    widths = [int.from_bytes(png[16:20]) for png in result.images]
    assert widths == sorted(widths)
    assert len(widths) == 3


@pytest.mark.parametrize("backend", ["", "import matplotlib; matplotlib.use('Agg')\n"])
def test_a_figure_as_last_expression_is_shown_once(interpreter: Interpreter, backend: str) -> None:
    result = run(
        interpreter,
        f"{backend}import matplotlib.pyplot as plt\n"
        "figure, axes = plt.subplots(figsize=(1, 1))\naxes.plot([1, 2])\nfigure",
    )
    assert len(result.images) == 1


def test_a_figure_that_was_closed_is_shown_when_it_is_the_result(interpreter: Interpreter) -> None:
    result = run(
        interpreter,
        "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\nplt.close()\nfigure",
    )
    assert len(result.images) == 1
    assert result.kinds == ["result"]


def test_what_a_plot_call_returns_is_text_and_its_figure_is_shown(
    interpreter: Interpreter,
) -> None:
    result = run(interpreter, "import matplotlib.pyplot as plt\nplt.plot([1, 2])")
    assert str(result.texts[0]).startswith("[<matplotlib.lines.Line2D")
    assert len(result.images) == 1


def test_figures_of_code_that_raised_are_shown_and_do_not_come_back(
    interpreter: Interpreter,
) -> None:
    result = run(interpreter, "import matplotlib.pyplot as plt\nplt.plot([1])\n1/0")
    assert result.error_name == "ZeroDivisionError"
    assert len(result.images) == 1
    assert run(interpreter, "2").images == []


def test_a_figure_that_cannot_be_drawn_is_an_error_of_the_code(interpreter: Interpreter) -> None:
    result = run(interpreter, "import matplotlib.pyplot as plt\nplt.title('$\\\\frac$')")
    assert result.error_name == "ValueError"
    assert r"Expected \frac" in result.error_message
    assert run(interpreter, "1").data


def test_figures_are_shown_with_the_plain_backend_from_the_first(tmp_path: Path) -> None:
    """Where nothing was imported ahead, IPython does not know figures yet."""
    program = (
        "from aca_mcp.kernel.interpreter import Interpreter\n"
        "from aca_mcp.kernel.timeline import Recorder\n"
        "sink = Recorder()\n"
        "found = Interpreter().run('''import matplotlib; matplotlib.use('Agg')\n"
        "import matplotlib.pyplot as plt; plt.plot([1, 2]);''', sink)\n"
        "print([blob[:4] for _, blobs in sink.events for blob in blobs], found.error)"
    )
    environment = os.environ | {"IPYTHONDIR": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[b'\\x89PNG'] None\n"


SMALL = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1), dpi=50)\nplt.plot([1, 2])"


@pytest.mark.parametrize(
    "far",
    [
        "plt.text(1000, 1.5, 'far')",
        "plt.text(60, 1.5, 'far'); plt.text(0.5, 1.5, 'near')",
        "plt.text(-1e5, 1e5, 'far')",
        "plt.figtext(-30, 0.5, 'far')",
        "plt.gcf().add_axes([0, 0, 1, 1]).text(400, 400, 'far')",
        "plt.gca().inset_axes([0.5, 0.5, 0.2, 0.2]).text(400, 400, 'far')",
        "plt.gcf().subfigures(1, 2)[1].text(40, 0.5, 'far')",
    ],
)
def test_what_lies_far_outside_makes_no_figure_larger_and_is_told(
    interpreter: Interpreter, capsys: pytest.CaptureFixture[str], far: str
) -> None:
    (image,) = run(interpreter, f"{SMALL}\n{far}").images
    assert all(20 < side <= 150 for side in _sides(image))
    assert capsys.readouterr().err.count("lie far outside") == 1


def test_parts_of_a_figure_are_measured_a_few_times_however_many_axes_it_has(
    interpreter: Interpreter,
) -> None:
    code = (
        "from matplotlib.text import Text\nmeasured = []\nclass Counting(Text):\n"
        "    def get_tightbbox(self, renderer=None):\n"
        "        measured.append(self); return super().get_tightbbox(renderer)\n"
        "figure, all_axes = plt.subplots(3, 4)\n"
        "for axes in all_axes.flat: axes.add_artist(Counting(0.5, 0.5, 'near', clip_on=False))\n"
        "far = axes.text(4000, 0.5, 'far'); figure"
    )
    assert len(run(interpreter, f"import matplotlib.pyplot as plt\n{code}").images) == 1
    counted = run(interpreter, "len(set(measured)), len(measured) <= 12 * 6, far.get_in_layout()")
    assert counted.texts == ["(12, True, True)"]


@pytest.mark.parametrize(
    "beside", ["plt.legend(['a'], bbox_to_anchor=(1.3, 1))", "plt.title('long ' * 30)"]
)
def test_what_stands_beside_a_figure_is_shown_with_it(
    interpreter: Interpreter, capsys: pytest.CaptureFixture[str], beside: str
) -> None:
    (image,) = run(interpreter, f"{SMALL}\n{beside}").images
    assert _sides(image)[0] > 110
    assert capsys.readouterr().err == ""


BESIDE = "; plt.figtext(-0.9, 1.9, 'x'); plt.figtext(1.9, -0.9, 'x')"
FULL = "; plt.gca().set_position([0, 0, 1, 1])"


@pytest.mark.parametrize(
    "size",
    [
        "(300, 200), dpi=100)",
        "(3, 2), dpi=9000)",
        "(900, 1), dpi=100)",
        f"(30, 30), dpi=100){BESIDE}",
        f"(200, 1), dpi=100){BESIDE}",
        f"(900, 1), dpi=100){FULL}",
    ],
)
def test_a_figure_of_any_size_is_drawn_in_bounds_and_left_as_it_is(
    interpreter: Interpreter, capsys: pytest.CaptureFixture[str], tmp_path: Path, size: str
) -> None:
    code = (
        f"import matplotlib.pyplot as plt\nfigure = plt.figure(figsize={size}\n"
        "plt.plot([1, 2]); before = figure.dpi, *figure.get_size_inches()"
    )
    assert len(run(interpreter, code, tmp_path).images) == 1
    (kept,) = (tmp_path / "outputs").iterdir()
    width, height = _sides(kept.read_bytes())
    assert width * height <= 26_000_000
    assert max(width, height) < 2**16
    assert capsys.readouterr().err.count("is drawn with fewer") == 1
    unchanged = run(interpreter, "before == (figure.dpi, *figure.get_size_inches())")
    assert unchanged.texts == ["True"]


def test_a_frame_around_a_figure_counts_for_how_large_it_is(
    interpreter: Interpreter, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "from IPython.display import display\nfigure = plt.gcf()\n"
        "with plt.rc_context({'savefig.pad_inches': 90}): display(figure)\nplt.close()"
    )
    (image,) = run(interpreter, f"{SMALL}\n{code}").images
    assert max(_sides(image)) < 2000
    assert capsys.readouterr().err.count("is drawn with fewer") == 1


def test_what_is_warned_of_a_figure_without_an_extent_names_none_of_our_lines(
    interpreter: Interpreter, recwarn: pytest.WarningsRecorder
) -> None:
    run(interpreter, "import matplotlib.pyplot as plt\nplt.figure(figsize=(0, 1)); plt.plot([1])")
    assert recwarn.list  # matplotlib's own
    assert [each for each in recwarn.list if "aca_mcp" in each.filename] == []


def test_a_figure_that_is_shown_while_it_is_drawn_is_drawn_all_the_same(
    interpreter: Interpreter,
) -> None:
    code = (
        "from matplotlib.lines import Line2D\nfrom IPython.display import display\n"
        "class Again(Line2D):\n    again = True\n    def draw(self, renderer):\n"
        "        if Again.again: Again.again = False; display(self.figure)\n"
        "        super().draw(renderer)\n"
        "plt.gca().add_line(Again([0, 1], [0, 1]))"
    )
    result = run(interpreter, f"{SMALL}\n{code}")
    assert result.error is None
    assert len(result.images) == 1


def _sides(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
