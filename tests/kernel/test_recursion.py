"""Tracebacks of functions that call each other in turn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kernel.results import run

if TYPE_CHECKING:
    from aca_mcp.kernel.interpreter import Interpreter

LEFT_OUT = re.compile(r"\[\.\.\. ([\d,]+) frames? left out \.\.\.\]")
CALL = re.compile(r'File "<cell \d+>", line \d+, in f\d')


def functions(count: int, end: str = "if depth == 0: 1/0") -> str:
    """So many, each of which calls the next one, and the last one the first."""
    return "\n".join(
        f"def f{n}(depth):\n    {end}\n    f{(n + 1) % count}(depth - 1)" for n in range(count)
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_recursion_without_end_is_told_by_its_first_round_and_its_last(
    interpreter: Interpreter, count: int
) -> None:
    # Nothing but the calls can be what is too deep: a comparison may be, too.
    result = run(interpreter, f"{functions(count, end='')}\nf0(-1)")
    assert result.error_name == "RecursionError"
    assert len(CALL.findall(result.traceback)) == 2 * count
    assert len(LEFT_OUT.findall(result.traceback)) == 1


@pytest.mark.parametrize("count", [2, 3])
def test_each_frame_is_shown_or_counted_and_the_last_one_is_shown(
    interpreter: Interpreter, count: int
) -> None:
    run(interpreter, functions(count))
    for depth in (0, 1, 2, 3, 5, 8, 9, 10, 19, 28, 29, 30, 31, 60, 500):
        text = run(interpreter, f"f0({depth})").traceback
        counted = sum(int(each.replace(",", "")) for each in LEFT_OUT.findall(text))
        assert len(CALL.findall(text)) + counted == depth + 1, depth
        assert text.endswith(
            f", in f{depth % count}\n    if depth == 0: 1/0\nZeroDivisionError: division by zero"
        )
        assert len(text.splitlines()) < 40
