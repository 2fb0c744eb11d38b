"""What worker processes begin with, from the code of cells."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.kernel.worker_processes import definitions_in, names_of

CELLS = (
    "from __future__ import annotations\nimport os, json as j\nLIMIT = {'a': [1, -2]}",
    "%matplotlib inline",
    "print('done')\nx = load()\nsquare = lambda n: n * n\nimport no_such_module",
    "class Point:\n    x: int = 1\n\nasync def work(): ...\nfor n in range(3): n",
)


def test_what_is_imported_and_defined_is_kept_and_nothing_is_done() -> None:
    module = definitions_in(CELLS)
    names: dict[str, object] = {}
    exec(compile(ast.unparse(module), "definitions", "exec"), names)
    assert names.keys() >= {"annotations", "os", "j", "LIMIT", "square", "Point", "work"}
    assert not names.keys() & {"x", "n", "no_such_module"}
    assert names_of(module) >= {"os", "j", "LIMIT", "square", "Point", "work"}


PIECES = st.sampled_from([*CELLS, "def f(:", "\0", "x = 1", "if x:\n    def inner(): pass"])


@given(st.lists(PIECES | st.text(max_size=20), max_size=8))
def test_no_code_at_all_breaks_it(cells: list[str]) -> None:
    compile(ast.unparse(definitions_in(cells)), "definitions", "exec")
