"""One session's Python: what code comes to, whatever it does."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from aca_mcp.kernel.interpreter import Transformer
from aca_mcp.kernel.mime_bundles import MAX_TEXT_CHARACTERS
from tests.kernel.results import run

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.kernel.interpreter import Interpreter


def test_the_last_expression_is_the_result(interpreter: Interpreter) -> None:
    result = run(interpreter, "x = 20\nx + 1")
    assert result.kinds == ["result"]
    assert result.data == [{"text/plain": "21", "application/json": "21"}]


def test_expressions_before_the_last_are_not_shown(interpreter: Interpreter) -> None:
    assert run(interpreter, "1\n2\n3").texts == ["3"]


def test_empty_code_does_nothing(interpreter: Interpreter) -> None:
    assert run(interpreter, "").data == []
    assert run(interpreter, "# only a comment").data == []


ADDS_SYNTAX = """
from IPython.core.inputtransformer2 import TokenTransformBase

class Seven(TokenTransformBase):
    @classmethod
    def find(cls, lines):
        for line in lines:
            for token in line:
                if token.string == 'seven':
                    return cls(token.start)

    def transform(self, lines):
        return [line.replace('seven', '7') for line in lines]

manager = get_ipython().input_transformer_manager
manager.token_transformers.append(Seven)
"""


def test_a_result_that_has_no_name_any_more_is_not_kept(interpreter: Interpreter) -> None:
    run(interpreter, "import weakref\nclass Table: pass\ntable = Table()")
    run(interpreter, "here = weakref.ref(table); table")
    run(interpreter, "del table")
    for number in range(3):  # ``_`` to ``___`` have these now
        run(interpreter, str(number))
    assert run(interpreter, "here() is None").texts == ["True"]


def test_displays_come_in_order_before_the_result(interpreter: Interpreter) -> None:
    result = run(interpreter, "display('a')\ndisplay('b')\n'c'")
    assert result.texts == ["'a'", "'b'", "'c'"]
    assert result.kinds == ["display", "display", "result"]


def test_clear_output_forgets_what_was_displayed(interpreter: Interpreter) -> None:
    code = (
        "from IPython.display import clear_output\ndisplay(1)\nclear_output(wait=True)\ndisplay(2)"
    )
    assert run(interpreter, code).texts == ["2"]


def test_rich_values_have_their_representations(interpreter: Interpreter) -> None:
    result = run(interpreter, "from IPython.display import HTML\nHTML('<b>bold</b>')")
    (data,) = result.data
    assert data["text/html"] == "<b>bold</b>"
    assert str(data["text/plain"]).startswith("<IPython.core.display.HTML")


def test_a_number_that_json_lacks_is_shown_as_python_does(interpreter: Interpreter) -> None:
    assert run(interpreter, "float('nan')").data == [
        {"text/plain": "nan", "application/json": "null"}
    ]


def test_a_huge_value_is_cut(interpreter: Interpreter) -> None:
    (text,) = run(interpreter, f"'x' * {4 * MAX_TEXT_CHARACTERS}").texts
    assert "characters ...]" in str(text)
    assert len(str(text)) < MAX_TEXT_CHARACTERS + 100


@pytest.mark.parametrize("how", ["{}", "display({})"])
def test_a_value_that_cannot_be_shown_is_an_error(interpreter: Interpreter, how: str) -> None:
    run(interpreter, "class Bad:\n  def __repr__(self): raise ValueError('no repr')")
    result = run(interpreter, how.format("Bad()"))
    assert (result.error_name, result.error_message) == ("ValueError", "no repr")
    assert "in __repr__" in result.traceback
    assert run(interpreter, "1 + 1").error_name is None


def test_a_number_that_cannot_be_shown_is_an_error(interpreter: Interpreter) -> None:
    result = run(interpreter, "10**5000")
    assert result.error_name == "ValueError"
    assert result.report.outputs == ()


def test_a_value_is_shown_in_the_ways_that_work(interpreter: Interpreter) -> None:
    result = run(
        interpreter,
        "class Half:\n"
        "  def __repr__(self): return 'half'\n"
        "  def _repr_html_(self): return 1/0\n"
        "Half()",
    )
    assert [output.data for output in result.report.outputs] == [{"text/plain": "half"}]
    assert result.error_name == "ZeroDivisionError"


def test_a_table_is_shown_wide(interpreter: Interpreter) -> None:
    result = run(
        interpreter,
        "import pandas as pd\n"
        "pd.DataFrame({f'a_long_column_name_{n}': [n * 1000] for n in range(7)})",
    )
    (text,) = result.texts
    assert len(str(text).splitlines()) == 2
    assert "..." not in str(text)
    assert "text/html" in result.data[0]


def test_options_of_pandas_are_as_before_after_a_table(interpreter: Interpreter) -> None:
    before, after = (
        run(interpreter, "import pandas as pd; pd.get_option('display.width')").texts,
        run(interpreter, "pd.DataFrame([1]); pd.get_option('display.width')").texts,
    )
    assert before == after


@given(st.text(st.sampled_from("abc123 \n\t%!?,;/=()[]{}'\"#\\\f.:")))
def test_code_becomes_what_ipython_makes_of_it(code: str) -> None:
    try:
        expected = TransformerManager().transform_cell(code)
    except IndentationError:
        reject()  # the compiler will say so
    assert Transformer().transform_cell(code) == expected


def test_code_that_is_not_indented_well_is_an_error_with_its_place(
    interpreter: Interpreter,
) -> None:
    result = run(interpreter, "if 1:\n        2\n    3")
    assert result.error_name == "IndentationError"
    assert "line 3" in result.traceback


def test_code_may_add_syntax_of_its_own(interpreter: Interpreter) -> None:
    run(interpreter, ADDS_SYNTAX)
    try:
        assert run(interpreter, "seven").texts == ["7"]
    finally:
        run(interpreter, "manager.token_transformers.remove(Seven)")


def test_a_magic_that_is_not_there_is_an_error(interpreter: Interpreter) -> None:
    result = run(interpreter, "%nosuchmagic")
    assert result.error_message == "Line magic function `%nosuchmagic` not found."


def test_a_magic_that_shows_the_last_error_is_no_error(interpreter: Interpreter) -> None:
    assert run(interpreter, "%tb").error_name is None


@pytest.mark.parametrize("magic", ["%%time\n", "%%capture\n", "%%prun\n"])
def test_an_exception_under_a_magic_is_an_error(interpreter: Interpreter, magic: str) -> None:
    assert run(interpreter, f"{magic}1/0").error_name == "ZeroDivisionError"


def test_an_exception_of_a_script_is_an_error_with_its_place(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("def f():\n    1/0\nf()\n")
    result = run(interpreter, f"%run {tmp_path}/script.py")
    assert result.error_name == "ZeroDivisionError"
    assert f'"{tmp_path}/script.py", line 2, in f' in result.traceback
    assert "IPython" not in result.traceback


def test_shell_commands_print_in_order_with_the_code(
    interpreter: Interpreter, capfd: pytest.CaptureFixture[str]
) -> None:
    run(interpreter, "print('one')\n!echo two; echo three >&2\nprint('four')")
    captured = capfd.readouterr()
    assert captured.out == "one\ntwo\nfour\n"
    assert captured.err == "three\n"


def test_the_output_of_a_shell_command_can_be_assigned(interpreter: Interpreter) -> None:
    assert run(interpreter, "found = !echo two\nfound[0]").texts == ["'two'"]


def test_the_list_of_magics_is_shown_in_lines(interpreter: Interpreter) -> None:
    (text,) = run(interpreter, "%lsmagic").texts
    assert str(text).startswith("Available line magics:\n%alias ")


@pytest.mark.parametrize(
    "code", ["input()", "input('Name? ')", "import getpass; getpass.getpass()"]
)
def test_asking_for_input_fails_at_once_and_says_what_to_do(
    interpreter: Interpreter, code: str
) -> None:
    result = run(interpreter, code)
    assert result.error_name == "EOFError"
    assert "nobody can type into this session" in result.error_message


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit()", "import sys; sys.exit(0)", "exit()", "quit()", "exit"]
)
def test_a_normal_exit_ends_the_code_and_not_the_session(
    interpreter: Interpreter, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(interpreter, f"before = 1\n{code}")
    assert result.error_name is None
    assert run(interpreter, "before").texts == ["1"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ends", ["import sys; sys.exit", "exit", "quit"])
@pytest.mark.parametrize(("code", "message"), [("3", "3"), ("'bad input'", "bad input")])
def test_an_exit_with_a_failure_is_an_error(
    interpreter: Interpreter, ends: str, code: str, message: str
) -> None:
    result = run(interpreter, f"{ends}({code})")
    assert (result.error_name, result.error_message) == ("SystemExit", message)


def test_nothing_is_printed_about_an_exception(
    interpreter: Interpreter, capfd: pytest.CaptureFixture[str]
) -> None:
    for code in ("1/0", "1 +", "  1\n 2", "raise KeyboardInterrupt"):
        assert run(interpreter, code).error_name is not None
    assert capfd.readouterr() == ("", "")


def test_a_traceback_names_the_run_that_the_code_came_from(interpreter: Interpreter) -> None:
    run(interpreter, "def f():\n    raise ValueError('late')")
    run(interpreter, "pass")
    result = run(interpreter, "f()")
    cells = [line for line in result.traceback.splitlines() if '"<cell ' in line]
    assert [line.rsplit(" ", 1)[1] for line in cells] == ["<module>", "f"]
    assert len({line.split('"')[1] for line in cells}) == 2
    assert "    raise ValueError('late')" in result.traceback


def test_an_exception_whose_text_cannot_be_made_is_reported(interpreter: Interpreter) -> None:
    result = run(
        interpreter, "class Bad(Exception):\n    def __str__(self): raise RuntimeError\nraise Bad"
    )
    assert result.error_name == "Bad"
    assert result.error_message == "(its text could not be made)"


def test_whatever_is_raised_the_session_answers(interpreter: Interpreter) -> None:
    result = run(interpreter, "class Odd(BaseException): pass\nraise Odd('odd')")
    assert (result.error_name, result.error_message) == ("Odd", "odd")


def test_the_code_may_break_its_own_streams(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    closed = run(interpreter, "import sys, io; sys.stdout = io.StringIO(); sys.stdout.close(); 2")
    assert (closed.texts, closed.error_name) == (["2"], None)  # nothing of it is printed
    monkeypatch.undo()
    assert run(interpreter, "1").texts == ["1"]


def test_a_stream_that_cannot_be_flushed_is_left_alone(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    result = run(interpreter, "import sys; sys.stderr = None; 1")
    assert result.texts == ["1"]


def test_an_exception_that_cannot_be_told_is_told_of(interpreter: Interpreter) -> None:
    result = run(
        interpreter,
        "class Bad(Exception):\n"
        "    @property\n"
        "    def __notes__(self): raise RuntimeError\n"
        "raise Bad('bad')",
    )
    assert (result.error_name, result.error_message) == ("Bad", "bad")
    assert result.traceback


def test_the_code_may_break_the_displays(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib._pylab_helpers as helpers

    monkeypatch.setattr(helpers, "Gcf", None)
    result = run(interpreter, "1")
    assert result.error_name == "AttributeError"


def test_an_interrupt_stops_running_code(interpreter: Interpreter) -> None:
    result = run(interpreter, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nlater = 1")
    assert result.error_name == "KeyboardInterrupt"
    assert run(interpreter, "later").error_name == "NameError"


def test_an_interrupt_between_runs_does_nothing(interpreter: Interpreter) -> None:
    run(interpreter, "kept = 1")
    os.kill(os.getpid(), signal.SIGINT)
    assert run(interpreter, "kept").texts == ["1"]


def test_code_that_took_the_interrupt_loses_it_with_the_next_run(
    interpreter: Interpreter,
) -> None:
    run(interpreter, "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)")
    result = run(interpreter, "os.kill(os.getpid(), signal.SIGINT)")
    assert result.error_name == "KeyboardInterrupt"


def test_a_fork_that_the_code_made_never_answers(interpreter: Interpreter) -> None:
    result = run(
        interpreter, "import os\nchild = os.fork()\nos.waitpid(child, 0)[1] if child else None"
    )
    assert result.texts == ["0"]


def test_warming_up_leaves_nothing(interpreter: Interpreter) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run(interpreter, "left = 1")
    interpreter.warm_up()
    assert signal.getsignal(signal.SIGINT) == handler
    assert run(interpreter, "left").error_name == "NameError"
    assert run(interpreter, "_").texts == ["''"]  # as where nothing has run


def test_the_first_code_has_none_before_it(interpreter: Interpreter) -> None:
    interpreter.warm_up()
    code = "assert _i + _ii + _iii == '', (_i, _ii, _iii)\nlen(In)"
    assert run(interpreter, code).texts == ["2"]
