"""``aca-mcp repl`` at a terminal, as a person uses it: keys go in, and a screen comes out."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import pexpect
import pytest

from aca_mcp.cli.code_sources import code_source
from aca_mcp.cli.counted_session import CountedSession, Setback
from aca_mcp.cli.exec import ExecRequest, Run
from aca_mcp.cli.interrupts import open_interrupts
from aca_mcp.cli.prompt import completions, is_complete
from aca_mcp.cli.screen import Screen
from aca_mcp.errors import InvalidRequestError
from aca_mcp.execution import Rollback
from aca_mcp.session import PythonSession
from aca_mcp.settings import Settings
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from aca_mcp.pool import Execution, OutputChunk, SessionInfo


@contextmanager
def at_a_prompt(directory: Path, *options: str) -> Generator[Any]:
    """A terminal with the command in it, whose lines are remembered below ``directory``."""
    terminal: Any = cast("Any", pexpect).spawn(
        sys.executable,
        ["-m", "aca_mcp", "repl", *options],
        encoding="utf-8",
        timeout=30,
        cwd=str(directory),
        env={
            **os.environ,
            "TERM": "xterm-256color",
            "XDG_STATE_HOME": str(directory / "state"),
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
    )
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_session_goes_on_from_line_to_line_until_the_person_leaves(tmp_path: Path) -> None:
    with at_a_prompt(tmp_path, "--notebook", "out.ipynb") as terminal:
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


def test_a_prompt_needs_no_place_for_its_history(tmp_path: Path) -> None:
    (tmp_path / "state").touch()  # no directory can be made in it, not even by root
    with at_a_prompt(tmp_path) as terminal:
        terminal.expect(r"In \[1\]:")
        terminal.send("print(end='half a line'); 6 * 7\r")
        terminal.expect(r"half a line\r\n42\r\n")
        terminal.expect(r"In \[2\]:")
        terminal.send("\x1b[A\r")  # the key for the line before
        terminal.expect("42\r\n")
        terminal.expect(r"In \[3\]:")
        terminal.send("exit(3)\r")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 0


def test_what_a_prompt_needs_is_a_sentence_where_it_is_not_installed(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['prompt_toolkit'] = None\n"
        "from aca_mcp.cli import main; sys.exit(main(['repl']))"
    )
    terminal: Any = cast("Any", pexpect).spawn(
        sys.executable, ["-c", code], encoding="utf-8", timeout=30, cwd=str(tmp_path)
    )
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.before.endswith(
        "aca-mcp: A prompt needs prompt_toolkit: "
        "pip install 'aca-mcp[cli]', or 'prompt_toolkit>=3'.\r\n"
    )
    assert terminal.exitstatus == 2


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


class Ledger(ToyPool):
    """A pool in which variables go back where a test says so: its code has nothing to crash."""

    rollback: Rollback | None = None
    went_back: Rollback | None = None

    async def get_session(self, identifier: str) -> SessionInfo | None:
        found = await super().get_session(identifier)
        return found and found._replace(went_back=self.went_back)

    async def execute(self, *given: Any, **options: Any) -> Execution:
        execution = await super().execute(*given, **options)
        rollback, self.rollback = self.rollback, None
        return execution._replace(rollback=rollback)


def ignore(chunk: OutputChunk) -> None:
    """Of what is printed."""


async def enter(counted: CountedSession, *lines: str) -> Execution:
    """What a person types, line by line; the result of the last."""
    *earlier, last = lines
    for line in earlier:
        await counted.execute(line, timeout_seconds=5, on_output=ignore)
    return await counted.execute(last, timeout_seconds=5, on_output=ignore)


async def test_a_new_session_is_numbered_from_its_beginning() -> None:
    pool = ToyPool()
    async with PythonSession(pool) as session:
        counted = CountedSession(session)
        await enter(counted, "1", "2", "3", "4")
        pool.lose("its time was over")
        assert (await enter(counted, "5")).lost_before == "its time was over"
        assert counted.number == 2
        await enter(counted, "6", "end('it crashed')")
        assert counted.number == 1


async def test_what_the_completion_of_a_name_was_told_is_there_for_the_person() -> None:
    pool = Ledger()
    async with PythonSession(pool) as session:
        counted = CountedSession(session)
        await enter(counted, "a", "b", "c")
        pool.rollback = Rollback("it crashed", 1, "")
        await completions(counted, "x.bi", 4)
        assert (counted.number, counted.take_setbacks()) == (4, []), "that was the completion alone"
        pool.rollback = Rollback("it crashed", 3, "b")
        await completions(counted, "x.bi", 4)
        assert counted.number == 2
        assert counted.take_setbacks() == [Setback(None, Rollback("it crashed", 2, "b"))]
        pool.lose("its time was over")
        await completions(counted, "x.bi", 4)
        assert counted.number == 1
        assert (await enter(counted, "d")).lost_before is None
        assert counted.take_setbacks() == [Setback("its time was over", None)]
        assert counted.take_setbacks() == []


async def test_what_a_completion_took_back_that_was_cancelled_is_there_for_the_person() -> None:
    pool = Ledger()
    async with PythonSession(pool) as session:
        counted = CountedSession(session)
        await enter(counted, "a", "b")
        pool.went_back = Rollback("it would not stop", 2, "b")
        with anyio.CancelScope() as typing_on:
            typing_on.cancel()
            await completions(counted, "x.bi", 4)
        assert typing_on.cancelled_caught
        assert counted.number == 2
        assert counted.take_setbacks() == [Setback(None, Rollback("it would not stop", 1, "b"))]


async def test_code_that_was_refused_is_not_counted() -> None:
    pool = Ledger()
    async with PythonSession(pool) as session:
        counted = CountedSession(session)
        await enter(counted, "a", "b")
        with pytest.raises(InvalidRequestError):
            await counted.execute_unrecorded("1", timeout_seconds=1e6)
        with pytest.raises(InvalidRequestError):
            await counted.execute("1", timeout_seconds=1e6, on_output=ignore)
        assert counted.number == 3
        pool.rollback = Rollback("it crashed", 2, "b")
        assert (await enter(counted, "c")).rollback == Rollback("it crashed", 2, "b")
        assert counted.number == 2


async def test_what_befell_the_session_meanwhile_is_said_before_code_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [*sys.argv])  # the toy's session is this process
    request = ExecRequest((), code_source(["print('ran')", "a"]), False, (), None)
    out = io.StringIO()
    screen = Screen(out, out)
    pool = ToyPool()
    async with (
        open_interrupts(screen.note) as interrupts,
        PythonSession(pool, existing=True) as session,
    ):
        assert await Run(Settings(), request, screen, interrupts).run(pool, session) == 0
    told, ran = out.getvalue().splitlines()
    assert told.startswith("aca-mcp: the earlier session is gone, with its variables and files: ")
    assert ran == "ran"
