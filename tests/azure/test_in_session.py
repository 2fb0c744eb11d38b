"""Our module of a session, in an interpreter of this process: what it collects."""

# IPython is typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import builtins
import sys
import warnings
from typing import TYPE_CHECKING

import anyio
import matplotlib
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from aca_mcp.azure import in_session
from aca_mcp.azure.code_wrapping import ReportPart, read_report
from aca_mcp.reports.stream_order import counted_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aca_mcp.azure.code_wrapping import AzureReport
    from aca_mcp.pool import ExecutionError


@pytest.fixture(autouse=True)
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A new interpreter, in which the module has just been loaded."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    matplotlib.use("agg")  # an interpreter that was here before may have chosen another
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    for name in ("display", "__IPYTHON__"):
        monkeypatch.setattr(builtins, name, None, raising=False)
    monkeypatch.chdir(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config)
    monkeypatch.setattr(InteractiveShell, "_instance", made)
    monkeypatch.setattr(in_session, "state", in_session.State(entered=str(work)))
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a session: a test run makes errors of them
        warnings.filterwarnings("ignore", message="To exit: use")
        yield made


async def run(code: str) -> AzureReport:
    with anyio.fail_after(20):
        part = ReportPart(await in_session.run(code, 1568))
        packed = part.packed
        while len(packed) < part.total_characters:
            packed += ReportPart(in_session.more(len(packed))).packed
    return read_report(packed)


async def shown(code: str) -> list[dict[str, str | bytes]]:
    report = await run(code)
    assert report.error is None, report.error
    return [dict(output.data) for output in report.outputs]


async def failed(code: str) -> ExecutionError:
    error = (await run(code)).error
    assert error is not None
    return error


async def test_values_and_what_is_displayed_come_in_order() -> None:
    outputs = await shown("display('a')\ndisplay({'application/json': {'k': 1}}, raw=True)\n40 + 2")
    assert outputs == [
        {"text/plain": "'a'"},
        {"application/json": '{"k": 1}'},
        {"text/plain": "42", "application/json": "42"},
    ]
    assert await shown("_ + 1") == [{"text/plain": "43", "application/json": "43"}]
    assert await shown("float('nan')") == [{"text/plain": "nan", "application/json": "null"}]
    assert await shown("None") == []


async def test_only_the_first_report_is_fresh_and_it_enters_the_work_directory() -> None:
    first = await run("import os; os.path.basename(os.getcwd())")
    assert first.fresh
    assert first.outputs[0].data["text/plain"] == "'work'"
    assert not (await run("1")).fresh


async def test_a_report_too_long_for_a_value_is_given_in_parts() -> None:
    in_session.state.max_part = 50
    assert await shown("'whole'") == [{"text/plain": "'whole'", "application/json": '"whole"'}]


async def test_where_things_were_displayed_is_told_with_them() -> None:
    report = await run(
        "import sys\nprint('a')\ndisplay(1)\nprint('bc', file=sys.stderr)\nprint('d', end='')"
    )
    assert [each.place for each in report.shown] == [1]
    told = [(piece.place, piece.stream, piece.characters) for piece in counted_pieces(report)]
    assert told == [(0, "stdout", 2), (1, "stderr", 3), (1, "stdout", 1)]


async def test_updates_and_clears_are_applied_in_the_session() -> None:
    code = (
        "from IPython.display import clear_output\n"
        "handle = display(0, display_id=True)\n"
        "for n in range(1000): handle.update(n)"
    )
    assert [output["text/plain"] for output in await shown(code)] == ["999"]
    report = await run("for n in range(3): clear_output(wait=True); print(n)")
    assert [piece.state for piece in counted_pieces(report)] == ["cleared", ""]


async def test_a_semicolon_does_not_silence_the_report(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["module"] = in_session
    for code in ("1;", "1 / 0;"):
        call = f"await module.run({code!r}, 1568)"
        await shell.run_cell_async(call, store_history=True, transformed_cell=call)
        assert in_session.PREFIX in capsys.readouterr().out
    # Code that was not given to the module keeps its semicolon.
    await shell.run_cell_async("'said';", store_history=True, transformed_cell="'said';")
    assert "said" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def f(:", "SyntaxError"),
        ("  x = 1\n y = 2", "IndentationError"),
        ("raise OSError", "OSError"),
    ],
)
async def test_code_that_cannot_run_is_an_error(code: str, name: str) -> None:
    assert (await failed(code)).name == name


async def test_a_transformer_of_the_user_that_fails_is_an_error() -> None:
    define = "def fail(lines): raise ValueError('no')\n"
    await run(f"{define}get_ipython().input_transformers_post.append(fail)")
    assert (await failed("1")).message == "no"


async def test_an_error_that_does_not_end_the_code_is_told() -> None:
    assert (await failed("%nosuchmodule\nimport sys\n%run nosuch.py")).name
    assert (await run("get_ipython().showtraceback()\n1")).error is None


async def test_exceptions_that_cannot_be_described_are_told_all_the_same() -> None:
    code = "class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad"
    error = await failed(code)
    assert error.name == "Bad"
    assert "could not be made" in error.message
    worse = "class Bad(Exception):\n    @property\n    def __cause__(self): 1 / 0\nraise Bad"
    assert "raise Bad" in (await failed(worse)).traceback


@pytest.mark.parametrize("code", ["exit_code = None", "raise SystemExit", "raise SystemExit(0)"])
async def test_code_may_end_itself_normally(code: str) -> None:
    assert (await run(code)).error is None


async def test_code_that_ends_itself_badly_has_failed() -> None:
    assert (await failed("raise SystemExit('wrong')")).message == "wrong"


async def test_code_that_an_interrupt_left_waiting_does_not_go_on() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            in_session.run, "import anyio\nawait anyio.sleep(60)\nwent_on = True", 1568
        )
        with anyio.fail_after(20):
            while in_session.state.task is None:
                await anyio.lowlevel.checkpoint()
            assert await shown("'went_on' in globals()") == [
                {"text/plain": "False", "application/json": "false"}
            ]
