"""``aca-mcp repl`` at a terminal, as a person uses it: keys go in, and a screen comes out."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, cast

import pexpect
import pytest

from aca_mcp.cli.counted_session import CountedSession
from aca_mcp.cli.prompt import completions, is_complete
from aca_mcp.session import PythonSession
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from pathlib import Path


def test_a_session_goes_on_from_line_to_line_until_the_person_leaves(tmp_path: Path) -> None:
    terminal: Any = cast("Any", pexpect).spawn(
        sys.executable,
        ["-m", "aca_mcp", "repl", "--notebook", "out.ipynb"],
        encoding="utf-8",
        timeout=30,
        cwd=str(tmp_path),
        env={
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
    )
    try:
        terminal.expect(r"In \[1\]:")
        terminal.send("x = 40\r")
        terminal.expect(r"In \[2\]:")
        terminal.send("for i in range(2):\rprint(x + i)\r\r")
        terminal.expect("40\r\n41")
        terminal.expect(r"In \[3\]:")
        terminal.send("print('be' 'gun'); import time; time.sleep(60)\r")
        terminal.expect("begun\r\n")
        terminal.sendintr()
        terminal.expect("KeyboardInterrupt")
        terminal.expect(r"In \[4\]:")
        terminal.send("thrown away")
        terminal.sendintr()
        terminal.expect(r"In \[4\]:")
        terminal.send("x.bit_c\t")
        terminal.expect("ount")
        terminal.send("()\r")
        terminal.expect("2\r\n")
        terminal.expect(r"In \[5\]:")
        terminal.send("1 / 0, _i\r")
        terminal.expect('File "<cell 5>"')  # asking for names was no cell
        terminal.expect(r"In \[6\]:")
        terminal.send("In[4] == _i4, len(In)\r")
        terminal.expect(r"\(True, 7\)")
        terminal.expect(r"In \[7\]:")
        terminal.send("x.bit_l\t")
        terminal.expect("ength")
        terminal.send("(); __import__('os')._exit(3)\r")
        terminal.expect(
            r"exit code 3\); variables are as before (it|the last \d executions, from `[^e])"
        )
        terminal.expect(r"In \[(\d)\]:")
        terminal.send("1 / 0\r")
        terminal.expect(f'File "<cell {terminal.match.group(1)}>"')
        terminal.expect(r"In \[\d\]:")
        terminal.sendeof()
        terminal.expect("saved out.ipynb")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert terminal.exitstatus == 0
    cells = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell["source"].splitlines()[0] for cell in cells] == [
        "x = 40",
        "for i in range(2):",
        "print('be' 'gun'); import time; time.sleep(60)",
        "x.bit_count()",
        "1 / 0, _i",
        "In[4] == _i4, len(In)",
        "x.bit_length(); __import__('os')._exit(3)",
        "1 / 0",
    ]
    history = tmp_path / "state" / "aca-mcp" / "history"
    assert history.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 + 1", True),
        ("x = [", False),
        ("if x:", False),
        ("if x:\n    y", False),
        ("if x:\n    y\n", True),
        ("await z()", True),
        ("!ls (", True),
        ("%timeit f(", True),
        ("%%bash\nls", False),
        ("%%bash\nls\n\n", True),
        ("print?", True),
        ("1 +* 2", True),
        ('"""text', False),
    ],
)
def test_enter_runs_what_is_whole_and_goes_on_with_what_is_not(code: str, expected: bool) -> None:
    assert is_complete(code) is expected


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ('["bi", ["bit_count", "bit_length"]]', (2, ("bit_count", "bit_length"))),
        ('["bi", ["a\\u001b[2J", "bit_count", 3, "' + "x" * 500 + '"]]', (2, ("bit_count",))),
        ('["elsewhere", ["bit_count"]]', (0, ())),
        ("[" * 100_000, (0, ())),
        ('["bi"]', (0, ())),
        ('{"bi": []}', (0, ())),
        ("", (0, ())),
    ],
)
async def test_what_a_session_says_of_completion_is_not_believed(
    says: str, expected: tuple[int, tuple[str, ...]]
) -> None:
    async with PythonSession(ToyPool()) as session:
        await session.execute(f"def get_ipython():\n    print({says!r})\n    raise ValueError")
        assert await completions(CountedSession(session), "x.bi", 4) == expected
