"""Output widgets, which hold what code shows while it is within them, on every pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.running import run, shown
from tests.support.widget_library import WRITE

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool

IN_WIDGETS = (
    ("o = Output(); display(o); print(1)\nwith o: print(2)\nprint(3)", "2\n1\n3"),
    (
        """
print('top'); o = Output(); display(o)
for n in range(9):
    with o: clear_output(wait=True); print(n)
print('end')""",
        "top\n8\nend",
    ),
    ("print(1); o.clear_output(); o.append_stdout('a'); display(o)", "1\na"),
    (
        """
a, b = Output(), Output(); display(Box(children=[a, b]))
with a:
    print(1)
    with b: print(2); clear_output(); print(3)
    print(4)""",
        "1\n4\n3",
    ),
    (
        """
import matplotlib.pyplot as plt
display(Box(children=[a, b])); print('between')
for each in (a, b):
    with each: clear_output(); plt.plot([1, 2]); plt.title(each.model_id); plt.show(); print(5)""",
        "[figure 1]\n5\n[figure 2]\n5\nbetween",
    ),
    (
        """
o = Output(); display(o)
@o.capture(clear_output=True)
def f(n): print(n)
f(1); f(2); print('end')""",
        "2\nend",
    ),
    ("print(0); o = Output()\nwith o: display(1); print(2); display(3)\no", "0\n[value]\n1\n2\n3"),
    (
        "with o: clear_output(); h = display('x', display_id=True); h.update('y')\nprint(6)",
        "6\n'y'",
    ),
)


async def test_what_an_output_widget_holds_stands_there_and_is_cleared_alone(
    pool: SessionPool, identifier: str
) -> None:
    assert (await run(pool, identifier, WRITE)).error is None
    for code, expected in IN_WIDGETS:
        assert await shown(pool, identifier, code) == expected, code


async def test_an_error_within_an_output_widget_is_shown_there_and_the_code_goes_on(
    pool: SessionPool, identifier: str
) -> None:
    assert (await run(pool, identifier, WRITE)).error is None
    code = "o = Output(); display(o)\nwith o: 1 / 0\nprint('after')"
    text = await shown(pool, identifier, code)
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: division by zero\nafter")
    execution = await run(pool, identifier, "with o: raise KeyboardInterrupt\nprint('after')")
    assert execution.error is not None
    assert "after" not in execution.stdout.text
