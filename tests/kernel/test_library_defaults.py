"""Defaults of libraries, tried on stand-ins for them that do what they do in this."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.kernel.results import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from aca_mcp.kernel.interpreter import Interpreter

PRINTING = """\
class Formula:
    pictures = 0
    def picture(self):
        Formula.pictures += 1
        return b"\\x89PNG"
def init_printing(use_latex=None):
    _init_ipython_printing(get_ipython(), repr, True if use_latex is None else use_latex, "mode")
def _init_ipython_printing(ip, stringify_func, use_latex, latex_mode):
    formatters = ip.display_formatter.formatters
    if use_latex in (True, "png"):
        formatters["image/png"].for_type(Formula, Formula.picture)
    if use_latex in (True, "mathjax"):
        formatters["text/latex"].for_type(Formula, lambda formula: "$x$")
from IPython import get_ipython
"""


def test_no_pictures_are_drawn_of_formulas_that_are_told_as_latex(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "sympy" / "interactive"
    package.mkdir(parents=True)
    (package / "printing.py").write_text(PRINTING)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    begin = "from sympy.interactive.printing import Formula, init_printing"
    told = run(interpreter, f"{begin}\ninit_printing()\nFormula()")
    assert [each["text/latex"] for each in told.data] == ["$x$"]
    assert run(interpreter, "Formula.pictures").texts == ["0"]
    run(interpreter, "init_printing(use_latex='png')\nFormula()")
    assert run(interpreter, "Formula.pictures").texts == ["1"]
    for name in [each for each in sys.modules if each.split(".")[0] == "sympy"]:
        monkeypatch.delitem(sys.modules, name)
