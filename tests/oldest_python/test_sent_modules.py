"""What travels into a session, in a real Jupyter kernel of Python 3.10."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aca_mcp.azure.code_wrapping import ReportPart, ask_for_more, read_report, wrap
from aca_mcp.reports.stream_order import counted_pieces
from tests.oldest_python.environment import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aca_mcp.azure.code_wrapping import AzureReport

pytestmark = pytest.mark.timeout(180)  # the libraries are imported, on a machine that may be busy


class Session:
    """An interpreter that is sent code as the Azure pool sends it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._is_new = True

    def evaluate(self, code: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        value: str = json.loads(self._process.stdout.readline())
        return value

    def run(self, code: str) -> AzureReport:
        value = self.evaluate(wrap(code, bring_module=self._is_new, max_side=500))
        assert value.startswith("'aca-mcp:"), value
        self._is_new = False
        part = ReportPart(ast.literal_eval(value))
        packed = part.packed
        while len(packed) < part.total_characters:
            more = self.evaluate(ask_for_more(len(packed)))
            packed += ReportPart(ast.literal_eval(more)).packed
        return read_report(packed)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    program = Path(__file__).with_name("kernel_program.py")
    with subprocess.Popen(
        [PYTHON, program],
        cwd=tmp_path_factory.mktemp("session"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Session(process)


def test_it_is_the_oldest_python_that_sessions_have(session: Session) -> None:
    report = session.run("import sys; sys.version_info[:2]")
    assert report.fresh
    assert report.outputs[-1].data["text/plain"] == "(3, 10)"
    assert not session.run("1").fresh


def test_the_history_has_the_code_alone_and_its_file_no_line_twice(session: Session) -> None:
    session.evaluate(ask_for_more(0))
    session.run("earlier = 1")
    report = session.run("In[-3:-1], _i, len(In) - get_ipython().execution_count")
    assert report.outputs[-1].data["text/plain"] == "(['', 'earlier = 1'], 'earlier = 1', 1)"
    report = session.run(
        "import sqlite3\nhistory = sqlite3.connect('history.sqlite')\n"
        "history.execute('SELECT count(*) FROM sessions').fetchone()"
    )
    assert report.outputs[-1].data["text/plain"] == "(2,)"  # IPython begins one for a line it has


def test_workers_that_begin_anew_find_what_cells_defined(session: Session) -> None:
    session.run("import multiprocessing as mp\ndef work(n): return n + 1")
    code = "with mp.get_context('spawn').Pool(1) as workers: print(workers.map(work, [1]))"
    report = session.run(code)
    assert report.error is None, report.error
    assert "[2]\n" in [piece.end for piece in counted_pieces(report)]


def test_the_timeline_has_what_was_printed_and_shown(session: Session) -> None:
    report = session.run(
        "import sys\nprint('one')\nshown = display(1, display_id=True)\nshown.update(2)\n"
        "print('two', file=sys.stderr)\n'value'"
    )
    assert report.error is None
    assert [dict(each.data)["text/plain"] for each in report.outputs] == ["2", "'value'"]
    printed = [(piece.stream, piece.end) for piece in counted_pieces(report)]
    assert ("stdout", "one\n") in printed
    assert ("stderr", "two\n") in printed


def test_what_processes_of_the_code_print_is_not_of_earlier_code(session: Session) -> None:
    # Time for the kernel's thread that reads what processes print.
    report = session.run("import subprocess, time\nsubprocess.run(['echo', '1'])\ntime.sleep(1)")
    assert [(piece.end, piece.state) for piece in counted_pieces(report)] == [("1\n", "")]
    session.run("import threading\nthreading.Timer(0.3, print, ['timer']).start()")
    report = session.run("time.sleep(1)")
    assert [(piece.end[:5], piece.state) for piece in counted_pieces(report)] == [("timer", "late")]


@pytest.mark.parametrize("code", ["len?", "%pdoc len", "%psource work", "%prun work(1)"])
def test_what_a_notebook_shows_in_its_pager_is_printed(session: Session, code: str) -> None:
    session.run("def work(n): return n + 1")
    assert sum(piece.characters for piece in counted_pieces(session.run(code))) > 20


def test_figures_tables_and_pages_are_shown(session: Session) -> None:
    report = session.run(
        "%matplotlib inline\nimport matplotlib.pyplot as plt, pandas as pd, PIL.Image\n"
        "from IPython.display import HTML\nplt.plot([1, 2]); plt.show()\n"
        "display(PIL.Image.new('RGB', (900, 9)), HTML('<table><tr><td>cell</table>'))\n"
        "pd.DataFrame({'a': [1, 2]})"
    )
    assert report.error is None, report.error
    figure, image, page, table = report.outputs
    assert "image/png" in figure.data
    assert image.remarks[0] == "shown at 500x5 pixels; it has 900x9"
    assert page.text == "cell"
    assert "a\n0  1" in str(table.data["text/plain"])


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("x = ", "SyntaxError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("input()", "EOFError"),
        ("breakpoint()", "EOFError"),
        ("import pdb; pdb.run('1')", "EOFError"),
        ("%debug 1", "EOFError"),
    ],
)
def test_errors_are_described(session: Session, code: str, name: str) -> None:
    error = session.run(code).error
    assert error is not None
    assert error.name == name
    assert '"<cell ' in error.traceback
    assert "ipykernel" not in error.traceback


def test_code_finds_back_to_its_stream_and_its_directory(session: Session) -> None:
    session.run("import io, sys\nsys.stdout = io.StringIO()\nprint('aside')")
    # The kernel sends what is written to it to this execution, and not to an earlier one.
    told_to = "sys.stdout.parent_header['msg_id']"
    here = "get_ipython().parent_header['header']['msg_id']"
    report = session.run(f"sys.stdout = sys.__stdout__\n{told_to} == {here}")
    assert report.outputs[-1].data["text/plain"] == "True"
    report = session.run("%cd -q /tmp\n%cd -q -\nimport os\nprint('back')\nos.listdir()")
    printed = [piece.end for piece in counted_pieces(report) if piece.stream == "stdout"]
    assert printed == ["back\n"]
    assert "history.sqlite" in str(report.outputs[-1].data["text/plain"])


def test_code_that_deletes_every_variable_goes_on_afterwards(session: Session) -> None:
    report = session.run("globals().clear()\nx = 40\nx")
    assert report.outputs[-1].data["text/plain"] == "40"
    report = session.run("x, _, Out[len(In) - 2], get_ipython() is not None")
    assert report.outputs[-1].data["text/plain"] == "(40, 40, 40, True)"


def test_a_fork_made_by_code_ends_with_it(session: Session) -> None:
    session.run("import os\nchild = os.fork()\nif child: os.waitpid(child, 0)")
    assert session.run("child > 0").outputs[-1].data["text/plain"] == "True"


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdout.close(); sys.stderr.close()",
        "for each in (0, 1, 2): os.close(each)",
        "os.close(sys.stdout.fileno())",
        "with io.StringIO() as sys.stdout: print(1)",
        "del sys.stdout, sys.stderr",
        "sys.stdout = sys.stderr = None",
    ],
)
def test_code_may_close_its_streams(session: Session, code: str) -> None:
    session.run("import io, os, sys, time")
    session.run(code)
    report = session.run(
        "print('there'); print('too', file=sys.stderr)\nos.system('echo child'); time.sleep(1)"
    )
    assert report.error is None
    ends = [piece.end for piece in counted_pieces(report)]
    assert ends == ["there\n", "too\n", "child\n"]


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdout.reconfigure(encoding='utf-8'); print('h\xe9')",
        "sys.stdout.buffer.write('h\xe9\\n'.encode());",
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8'); print('h\xe9')",
        "sys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer); print('h\xe9')",
    ],
)
def test_code_may_choose_the_encoding_of_its_streams(session: Session, code: str) -> None:
    for _ in range(2):
        report = session.run(f"import codecs, io, sys\n{code}")
        assert report.error is None, report.error
        assert "".join(piece.end for piece in counted_pieces(report)) == "h\xe9\n"
        session.run("import gc\nsys.stdout = sys.__stdout__\ngc.collect()")


def test_code_that_exits_ends_nothing_but_itself(session: Session) -> None:
    session.run("kept = 1")
    for code in ("exit", "exit()", "quit()", "quit()"):
        assert session.run(code).error is None
    report = session.run("import sys; sys.exit(3)")
    assert report.error is not None
    assert (report.error.name, counted_pieces(report)) == ("SystemExit", [])
    assert session.run("kept").outputs[-1].data["text/plain"] == "1"


def test_a_process_may_be_given_the_stream_to_write_to(session: Session) -> None:
    report = session.run(
        "import subprocess, sys, time\n"
        "subprocess.run(['echo', 'child'], stdout=sys.stdout)\ntime.sleep(1)"
    )
    assert [piece.end for piece in counted_pieces(report)] == ["child\n"]


def test_what_earlier_code_left_prints_is_told_with_the_next_result(session: Session) -> None:
    session.run(
        "import asyncio, threading, time\n"
        "async def job():\n    await asyncio.sleep(0.2)\n    print('task')\n"
        "task = asyncio.create_task(job())\n"
        "thread = threading.Timer(0.1, print, ['thread'])\nthread.start()"
    )
    session.run("thread.join()")
    session.run("thread = threading.Timer(0.1, print, ['between'])\nthread.start()")
    session.evaluate("thread.join()")  # a call that is none of our module
    report = session.run("await task\nprint('own')")
    told = [(piece.end, piece.state) for piece in counted_pieces(report)]
    assert told == [("between\ntask\n", "late"), ("own\n", "")]


def test_what_earlier_code_prints_without_end_is_cut(session: Session) -> None:
    session.run(
        "import threading\nthread = threading.Timer(0.2, print, ['x' * 10**6])\nthread.start()"
    )
    (piece,) = counted_pieces(session.run("thread.join()"))
    assert piece.state == "late"
    assert len(piece.end) < 25_000
    assert "left out" in piece.end


def test_half_a_surrogate_pair_keeps_nothing_else_from_being_shown(session: Session) -> None:
    report = session.run("print('\\ud83d and the rest')")
    assert [piece.end for piece in counted_pieces(report)] == ["\\ud83d and the rest\n"]


def test_a_coroutine_is_awaited_instead_of_run(session: Session) -> None:
    error = session.run("import asyncio\nasyncio.run(asyncio.sleep(0))").error
    assert error is not None
    assert "write await" in error.hint


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "time.sleep(60)",
        "await asyncio.sleep(60)",
        "await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))",
    ],
)
def test_an_interrupt_ends_code_and_nothing_else(session: Session, code: str) -> None:
    session.run("kept = 1")
    report = session.run(
        "import asyncio, os, signal, threading, time\n"
        f"threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()\n{code}"
    )
    assert report.error is not None
    assert report.error.name == "KeyboardInterrupt"
    assert code in report.error.traceback
    assert session.run("kept").outputs[-1].data["text/plain"] == "1"


def test_long_reports_come_in_parts(session: Session) -> None:
    report = session.run(
        "import os; display(os.urandom(900_000).hex()); await __import__('asyncio').sleep(0, 7)"
    )
    assert len(str(report.outputs[0].data["text/plain"])) > 1_000_000
    assert report.outputs[1].data["text/plain"] == "7"
