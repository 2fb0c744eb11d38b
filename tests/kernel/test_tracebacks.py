"""Tracebacks: the user's frames, where a library stopped, and nothing of ours."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aca_mcp
from aca_mcp.kernel.traceback_frames import cell_name, is_cell
from aca_mcp.kernel.tracebacks import describe
from tests.kernel.results import run

if TYPE_CHECKING:
    from aca_mcp.kernel.interpreter import Interpreter


LIBRARY_WITHOUT_PROGRAM = """
import pathlib, subprocess
try: subprocess.Popen([pathlib.Path("no-program")])
except OSError as error: raise RuntimeError("make sure that it is there") from error
"""


def format_exception(error: BaseException) -> str:
    return describe(error)["traceback"]


def error_of(code: str, **names: object) -> BaseException:
    """What compiled and run as a piece of code raises, whose lines are not known."""
    linecache.cache.pop(cell_name(1), None)  # an interpreter's, of a test before
    try:
        exec(compile(code, cell_name(1), "exec"), names)
    except BaseException as error:
        return error
    raise AssertionError("the code did not raise")


def frames_of(text: str) -> list[str]:
    """Function names, outermost first."""
    places = [line for line in text.splitlines() if line.startswith('  File "')]
    return [place.rpartition(", in ")[2] for place in places if ", in " in place]


def library(depth: int, directory: Path) -> object:
    """A function that calls itself some times, in a file that is no cell, and then its argument."""
    path = directory / "library.py"
    path.write_text(
        f"def call(function, left={depth - 1}):\n"
        "    return call(function, left - 1) if left else function()\n"
    )
    names: dict[str, object] = {}
    exec(compile(path.read_text(), path, "exec"), names)
    return names["call"]


def test_names_of_cells_are_known_again() -> None:
    assert is_cell(cell_name(7))
    assert not is_cell("/usr/lib/python3/json/__init__.py")
    assert not is_cell("<string>")


def test_the_runner_of_the_code_is_not_in_its_traceback() -> None:
    text = format_exception(error_of("def f(): 1/0\nf()"))
    assert frames_of(text) == ["<module>", "f"]
    assert __file__ not in text


def test_a_library_is_cut_to_its_last_frames(tmp_path: Path) -> None:
    text = format_exception(error_of("call(int.no_such)", call=library(9, tmp_path)))
    assert frames_of(text) == ["<module>"]
    error = error_of("def f(): 1/0\ncall(f)", call=library(9, tmp_path))
    assert frames_of(format_exception(error)) == ["<module>", "call", "call", "call", "f"]


def test_a_library_that_raised_is_cut_to_its_last_frames(tmp_path: Path) -> None:
    error = error_of("call(json.loads)", call=library(9, tmp_path), json=__import__("json"))
    text = format_exception(error)
    assert frames_of(text) == ["<module>", "call", "call", "call"]
    assert text.count("library.py") == 3


def test_causes_and_contexts_are_there_and_trimmed_likewise() -> None:
    text = format_exception(
        error_of(
            "def f(): 1/0\n"
            "try: f()\n"
            "except ZeroDivisionError as error: raise ValueError('bad') from error"
        )
    )
    assert "The above exception was the direct cause of the following exception:" in text
    assert frames_of(text) == ["<module>", "f", "<module>"]
    text = format_exception(error_of("try: 1/0\nexcept ZeroDivisionError: {}['key']"))
    assert "During handling of the above exception, another exception occurred:" in text
    assert text.endswith("KeyError: 'key'")


def test_a_suppressed_context_is_not_shown() -> None:
    text = format_exception(
        error_of("try: 1/0\nexcept ZeroDivisionError: raise ValueError from None")
    )
    assert "ZeroDivisionError" not in text


def test_groups_show_their_exceptions_trimmed_likewise() -> None:
    text = format_exception(
        error_of(
            "def f(): 1/0\n"
            "found = []\n"
            "try: f()\n"
            "except ZeroDivisionError as error: found.append(error)\n"
            "raise ExceptionGroup('two', [*found, ValueError('plain')])"
        )
    )
    assert "ExceptionGroup: two (2 sub-exceptions)" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "ValueError: plain" in text
    assert __file__ not in text


def test_deep_recursion_is_told_in_a_few_lines() -> None:
    text = format_exception(error_of("def f(): f()\nf()"))
    assert "[Previous line repeated" in text
    assert text.splitlines()[-1].startswith("RecursionError: maximum recursion depth exceeded")
    assert len(text.splitlines()) < 30


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 40, 400])
def test_the_same_call_again_and_again_is_told_as_python_tells_it(depth: int) -> None:
    error = error_of(f"def f(n):\n    if n: f(n - 1)\n    else: 1/0\nf({depth})")
    shown = format_exception(error)
    assert error.__traceback__ is not None
    own = traceback.format_exception(error.with_traceback(error.__traceback__.tb_next))
    assert shown == "".join(own).rstrip("\n")


def test_a_long_chain_ends() -> None:
    text = format_exception(
        error_of(
            "error = ValueError('first')\n"
            "for number in range(500):\n"
            "    try: raise ValueError(str(number)) from error\n"
            "    except ValueError as next_error: error = next_error\n"
            "raise error"
        )
    )
    assert len(text) < 66_000
    assert text.endswith("ValueError: 499")


def test_a_long_message_is_cut_in_the_middle() -> None:
    text = format_exception(error_of("raise ValueError('x' * 1_000_000 + 'the end')"))
    assert len(text) < 66_000
    assert text.startswith("Traceback (most recent call last):")
    assert "characters ...]" in text
    assert text.endswith("the end")


def test_a_syntax_error_has_its_position_and_no_frames(interpreter: Interpreter) -> None:
    result = run(interpreter, "x = 1\ny = = 2")
    cell, rest = result.traceback.split("\n", 1)
    assert cell.startswith('  File "<cell ')
    assert cell.endswith('>", line 2')
    assert rest == "    y = = 2\n        ^\nSyntaxError: invalid syntax"
    assert result.error_message.startswith("invalid syntax (<cell ")


@pytest.mark.parametrize(
    ("code", "line", "says"),
    [
        ("x = 1\nreturn x", "    return x", "'return' outside function"),
        ("def f(a, a): pass", "    def f(a, a): pass", "duplicate argument 'a'"),
        ("for x in []:\n    pass\nbreak", "    break", "'break' outside loop"),
        ("def f():\n    x = 1\n    global x", "    global x", "name 'x' is assigned to before"),
        ("print((1)", "    print((1)", "'(' was never closed"),
        ("x = [1,\n", "    x = [1,", "'[' was never closed"),
        ('x = """abc', '    x = """abc', "unterminated triple-quoted string literal"),
    ],
)
def test_whatever_finds_wrong_syntax_its_line_is_shown_and_no_frames(
    interpreter: Interpreter, code: str, line: str, says: str
) -> None:
    lines = run(interpreter, code).traceback.split("\n")
    assert lines[0].startswith('  File "<cell ')
    assert lines[1] == line
    assert lines[-1].startswith(f"SyntaxError: {says}")


def test_code_that_compiles_code_has_its_frames(interpreter: Interpreter) -> None:
    text = run(interpreter, "def f(): compile('return', 'text', 'exec')\nf()").traceback
    assert frames_of(text) == ["<module>", "f"]


def test_notes_are_kept() -> None:
    text = format_exception(error_of("e = ValueError('a')\ne.add_note('try this')\nraise e"))
    assert text.endswith("ValueError: a\ntry this")


def test_a_traceback_of_the_interpreter_shows_nothing_of_it(interpreter: Interpreter) -> None:
    package = str(Path(aca_mcp.__file__).parent)
    for code in ("1/0", "input()", "await 1", "1 +", "%nosuchmagic", "!!", "def f(): f()\nf()"):
        text = run(interpreter, code).traceback
        assert package not in text
        assert "IPython/" not in text
        assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import no_such", "no_such"),
        ("import os, no_such.part.deep as x", "no_such.part.deep"),
        ("from no_such.part import thing", "no_such.part.thing"),
        ("from no_such.part import (\n    thing,\n    other,\n)", "no_such.part.thing"),
        ("from no_such import *\nprint(1)", "no_such"),
        ("import importlib\nimportlib.import_module('no_such.part')", "no_such"),
        ("import space.part.deep", "space.part.deep"),
        ("import json.no_such", ""),
        ("from json import no_such", ""),
        ("1 / 0", ""),
        ("raise ImportError('Please install anywidget to use it')", "anywidget"),
        ("raise ImportError('lxml not found, please install it')", "lxml"),
        ("raise ImportError('Install it with `pip install fastparquet`')", "fastparquet"),
        ("raise ImportError('Use pip or conda to install the pyarrow package.')", "pyarrow"),
        ("raise ImportError(\"An URI requires 'sqlalchemy' version '2' or newer\")", "sqlalchemy"),
        ("raise AttributeError(\"The '.style' accessor requires jinja2\")", "jinja2"),
        ("raise ImportError('Use pip to install it')", ""),
        ("raise ImportError('it is broken')", ""),
        ("raise ImportError('pip install google-cloud-thing')", "google-cloud-thing"),
        ("try: import no\nexcept ImportError: raise ImportError('pip install json no')", "no"),
        ("(1).real.nothing", ""),
    ],
)
def test_a_module_that_is_missing_is_named_as_code_names_it(
    interpreter: Interpreter, tmp_path: Path, code: str, module: str
) -> None:
    (tmp_path / "space").mkdir()  # a namespace, which other packages may have parts of
    outcome = run(interpreter, f"import sys\nsys.path.append({str(tmp_path)!r})\n{code}")
    assert outcome.error is not None
    assert outcome.error.missing_module == module


@pytest.mark.parametrize(
    ("code", "similar"),
    [
        ("import matplotlb", "matplotlib"),
        ("from matplotlib.pyplt import plot", "matplotlib.pyplot"),
        ("import xml.etre.ElementTree", "xml.etree"),
        ("import nothing_like_that", ""),
    ],
)
def test_a_module_of_a_similar_name_is_named(
    interpreter: Interpreter, code: str, similar: str
) -> None:
    said = run(interpreter, code).traceback.split("\n")[-1]
    assert said.endswith(f". Did you mean: {similar!r}?" if similar else "_like_that'")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("import subprocess\nsubprocess.run(['ffmpeg-9', '-i', 'x'])", "no program 'ffmpeg-9', "),
        (
            LIBRARY_WITHOUT_PROGRAM,
            "no program 'no-program', and the system's programs cannot be installed here.",
        ),
        ("raise RuntimeError('Requested MovieWriter (ffmpeg) not available')", "imageio-ffmpeg"),
        ("raise OSError('xelatex not found on PATH, if you have not')", "'xelatex'"),
        ("open('ffmpeg')", ""),
        ("import subprocess\nsubprocess.run(['./no/program'])", ""),
    ],
)
def test_a_program_that_is_not_there_is_a_sentence_and_the_last_error(
    interpreter: Interpreter, code: str, hint: str
) -> None:
    error = run(interpreter, code).error
    assert error is not None
    assert hint in error.hint
    assert bool(error.hint) == bool(hint)
    assert "exception was" not in error.traceback


@pytest.mark.parametrize(
    "said",
    [
        "Resource punkt_tab not found.\n  Please use the NLTK Downloader to obtain the resource:",
        "[E050] Can't find model 'en_core_web_sm'. It doesn't seem to be a Python package",
        "We couldn't connect to 'https://models.example' to load the files, and could not find",
        "Cannot find an appropriate cached snapshot folder for the specified revision",
    ],
)
def test_what_a_library_would_fetch_first_is_told_to_be_out_of_reach(
    interpreter: Interpreter, said: str
) -> None:
    error = run(interpreter, f"raise LookupError({said!r})").error
    assert error is not None
    assert "network" in error.hint


@pytest.mark.parametrize(
    "said",
    [
        "This event loop is already running",
        "Already running asyncio in this thread",
        "Cannot run the event loop while another loop is running",
    ],
)
def test_who_runs_a_loop_within_the_loop_is_told_to_await(
    interpreter: Interpreter, said: str
) -> None:
    error = run(interpreter, f"raise RuntimeError({said!r})").error
    assert error is not None
    assert "write await before the coroutine" in error.hint


def test_frames_of_pythons_own_import_are_left_out(interpreter: Interpreter) -> None:
    for code in ("%load_ext no_such_extension", "__import__('importlib').import_module('no.such')"):
        assert "<frozen" not in run(interpreter, code).traceback


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("open('sale.csv')", "The work directory has 'sales.csv'."),
        ("open('/mnt/data/Sales.csv')", "The work directory has 'sales.csv'."),
        ("open('C:\\\\me\\\\sales.csv')", "The work directory has 'sales.csv'."),
        ("open('/kaggle/input/train/x.parquet')", "path of another machine"),
        ("import os; os.chdir('/content/drive/MyDrive')", "which has 'b', 'sales.csv'."),
        ("open(r'C:\\Users\\me\\y.json')", "path of another machine"),
        ("open('quite/another')", ""),
        ("open('/dev/no-such')", ""),
        ("open('')", ""),
    ],
)
def test_a_file_that_is_not_there_is_told_with_what_is(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sales.csv", "b", ".hidden"):
        (tmp_path / name).touch()
    error = run(interpreter, code).error
    assert error is not None
    assert hint in error.hint
    assert bool(error.hint) == bool(hint)


def test_what_a_library_says_of_people_and_places_is_a_sentence(interpreter: Interpreter) -> None:
    code = "raise OSError(\"Cannot save file into a non-existent directory: '/home/me'\")"
    error = run(interpreter, code).error
    assert error is not None
    assert error.hint.startswith("Only the work directory, where")
    code = "class Abort(Exception): pass\nAbort.__module__ = 'click.exceptions'\nraise Abort"
    error = run(interpreter, code).error
    assert error is not None
    assert "nobody can type" in error.hint


def test_who_writes_where_nobody_can_is_told_where_to(interpreter: Interpreter) -> None:
    error = run(interpreter, "import errno; raise OSError(errno.EROFS, 'no', '/etc/x')").error
    assert error is not None
    assert error.hint.startswith("Only the work directory, where")


def test_a_line_that_is_full_of_data_is_cut(interpreter: Interpreter) -> None:
    text = run(interpreter, f"int([{'1, ' * 20_000}])").traceback
    assert len(text) < 2000
    assert text.endswith("not 'list'")


def test_exceptions_before_the_last_few_are_counted() -> None:
    error: BaseException = KeyError("first")
    for number in range(150):
        later = ValueError(number)
        later.__context__ = error
        error = later
    text = format_exception(error)
    assert text.startswith("[... 145 earlier exceptions are left out ...]\n")
    assert text.count("ValueError: ") == 6
    first = error
    while first.__context__ is not None:
        first = first.__context__
    first.__context__ = error  # round and round
    assert format_exception(error) == text
