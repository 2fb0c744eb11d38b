"""What code can see of the stack below it: never what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aca_mcp
from tests.kernel.results import run

if TYPE_CHECKING:
    from aca_mcp.kernel.interpreter import Interpreter

PACKAGE = str(Path(aca_mcp.__file__).parent)
BEGIN = """\
import asyncio, inspect, io, logging, sys, traceback, warnings
heard = io.StringIO()
logger = logging.Logger('x')
logger.addHandler(logging.StreamHandler(heard))
def names(frames): return [frame.filename for frame in frames]
def say(what): heard.write(str(what))
"""
WAYS = {
    "an error that code catches": "try: input()\nexcept EOFError: traceback.print_exc(file=heard)",
    "its list": "try: input()\nexcept EOFError: say(traceback.extract_tb(sys.exc_info()[2]))",
    "its frames": "try: input()\nexcept EOFError: say(names(inspect.trace()))",
    "a loop in a loop": "async def bad(): input()\nt = asyncio.ensure_future(asyncio.sleep(0))\n"
    "try: asyncio.run(bad())\nexcept EOFError: traceback.print_exc(file=heard)",
    "the stack": "traceback.print_stack(file=heard)",
    "the stack as a list": "say(traceback.StackSummary.extract(traceback.walk_stack(None)))",
    "the stack's frames": "say(names(inspect.stack()))",
    "a log with the stack": "logger.warning('w', stack_info=True)",
    "a log of an error": "try: input()\nexcept EOFError: logger.exception('e')",
    "a warning from above": "with warnings.catch_warnings(record=True) as noted:\n"
    "    for n in range(1, 60): warnings.warn(f'{n}', stacklevel=n)\n"
    "say(names(noted))",
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_look_at_frames_shows_those_of_the_interpreter(
    interpreter: Interpreter, way: str
) -> None:
    ran = run(interpreter, f"{BEGIN}{WAYS[way]}\nprint(end='')\nheard.getvalue()")
    (told,) = ran.texts
    assert "<cell " in str(told)
    assert PACKAGE not in str(told)


def test_a_stack_begins_with_who_asks_for_it(interpreter: Interpreter) -> None:
    code = (
        f"{BEGIN}def ask(): return traceback.StackSummary.extract(traceback.walk_stack(None))\n"
        "[ask()[0].name, traceback.extract_stack()[-1].name, inspect.stack()[0].function]"
    )
    assert run(interpreter, code).texts == ["['ask', '<module>', '<module>']"]


def test_a_warning_is_of_the_place_that_code_says(interpreter: Interpreter) -> None:
    code = (
        f"{BEGIN}def old(): warnings.warn('old', DeprecationWarning, 2)\n"
        "with warnings.catch_warnings(record=True) as noted:\n"
        "    warnings.simplefilter('always')\n"
        "    old()\n"
        "    warnings.warn('here')\n"
        "[(each.lineno, each.category.__name__) for each in noted]"
    )
    assert run(interpreter, code).texts == ["[(10, 'DeprecationWarning'), (11, 'UserWarning')]"]
