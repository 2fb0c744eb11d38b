"""The accidents of ``docs/sessions.md`` in each isolation: what is told, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.server.results.report import report
from tests.local.pools import copied, new_identifier, pool_with_checkpoints, result_of, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.local.pool import LocalSessionPool

DOCUMENT = Path(__file__).parents[2] / "docs" / "sessions.md"
TOO_MUCH_BY_CHILDREN = """
import os, time
for _ in range(4):
    if not os.fork():
        data = bytearray(b'a') * (120 << 20); time.sleep(30); os._exit(0)
time.sleep(30)
"""
RECURSION = """
import sys
sys.setrecursionlimit(10**6)
class A:
    def __getattr__(self, name):
        return getattr(self, name)
A().x
"""
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
ACCIDENTS = {
    "a fault in compiled code": "import ctypes; ctypes.string_at(1)",
    "`os._exit(3)`": "import os; os._exit(3)",
    "`os.abort()`": "import os; os.abort()",
    "too much memory": "data = []\nwhile True: data.append(bytearray(b'a') * (16 << 20))",
    "too much memory of its children": TOO_MUCH_BY_CHILDREN,
    "`kill -9` of itself": "import os; os.kill(os.getpid(), 9)",
    "an endless loop in compiled code": "import itertools; sum(itertools.repeat(0))",
    "a recursion of 10⁶ calls": RECURSION,
    "a fork bomb": FORK_BOMB,
    "closed streams": "import os; os.close(1); os.close(2)",
    "the interpreter's own connections closed": "import os; os.closerange(3, 1000)",
    "processor time, of which it allowed itself little": (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
    ),
    "every descriptor closed": "import os; os.closerange(0, 256)",
}
ENDED = "Variables are as they were before it; files keep what was written to them."


def rows() -> dict[str, tuple[str, str]]:
    """Of the table: accident to what is told, and what becomes of the variables."""
    table = DOCUMENT.read_text(encoding="utf-8").partition("## Accidents")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line[:2] == "| "]
    return {name: (told.strip("`"), kept) for name, told, kept in cells[2:]}


@pytest.fixture(scope="module", params=["namespaces", "landlock"])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[LocalSessionPool]:
    async with pool_with_checkpoints(request.param) as opened:
        yield opened


def test_the_table_has_every_accident() -> None:
    assert rows().keys() == ACCIDENTS.keys()


@pytest.mark.parametrize("accident", ACCIDENTS)
async def test_an_accident_costs_what_the_table_says(pool: LocalSessionPool, accident: str) -> None:
    told, kept = rows()[accident]
    session = new_identifier()
    await run(pool, session, "x = ['before']; open('file', 'w').write('a')")
    await copied(pool, session)
    code = f"x.append('after'); open('file', 'w').write('b')\n{ACCIDENTS[accident]}"
    execution = await run(pool, session, code, timeout=2 if "endless" in accident else 40)
    shown = report(execution).text
    assert execution.session_lost is None
    if execution.rollback is None:
        # The interpreter has noticed by itself; newer ones notice the recursion, too.
        assert "kept" in kept or "recursion" in accident
        assert result_of(await run(pool, session, "x")) == "['before', 'after']"
    else:
        assert "before it" in kept
        assert ENDED in shown
        assert result_of(await run(pool, session, "x")) == "['before']"
    assert told in shown or (execution.error and execution.error.name == "RecursionError")
    assert result_of(await run(pool, session, "open('file').read()")) == "'b'"
    await pool.stop_session(session)
