"""What people who know Jupyter are used to, on every way to reach a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.server.results.report import report
from tests.contract.running import run, shown
from tests.support.streams import content

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool


async def check_text_of_processes(pool: SessionPool, identifier: str, code: str, text: str) -> None:
    """A model is shown this text; or that there are no processes, where there are none."""
    execution = await run(pool, identifier, code)
    if (await pool.metadata()).kind == "wasm":
        assert execution.error is not None
        assert "WebAssembly, which has no processes" in execution.error.message
    else:
        assert report(execution).text == text


CHOICES = (
    "%matplotlib inline",
    "%matplotlib widget",
    "%pylab inline",
    "import matplotlib; matplotlib.use('TkAgg')",
    "%config InlineBackend.figure_format = 'svg'",
    "%config InlineBackend.figure_formats = ['pdf', 'retina']",
)
"""Of where figures go, as code of notebooks makes them."""


async def test_figures_come_back_whatever_display_was_chosen(
    pool: SessionPool, identifier: str
) -> None:
    for choice in CHOICES:
        code = f"{choice}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\nprint('ran')"
        execution = await run(pool, identifier, code)
        assert execution.error is None, choice
        assert "ran" in execution.stdout.text
        assert len(report(execution).figures) == 1, choice


async def test_everything_stands_where_it_was_made(pool: SessionPool, identifier: str) -> None:
    code = (
        "import sys\nimport matplotlib.pyplot as plt\n"
        "for n in range(2):\n"
        "    print('before', n)\n    plt.plot([n]); plt.show()\n"
        "    print('warned', n, file=sys.stderr)\n"
        "print('end')\n'value'"
    )
    assert await shown(pool, identifier, code) == (
        "before 0\n[figure 1]\n[stderr]\nwarned 0\n[stdout]\nbefore 1\n[figure 2]\n[stderr]\n"
        "warned 1\n[stdout]\nend\n[value]\n'value'"
    )


async def test_the_users_own_modules_are_found(pool: SessionPool, identifier: str) -> None:
    helpers = content(b"def double(x): return 2 * x\n")
    await pool.upload_file(identifier, "helpers.py", helpers)
    assert await shown(pool, identifier, "import helpers; helpers.double(4)") == "8"
    await run(pool, identifier, "%%writefile m.py\nx = 1")
    assert await shown(pool, identifier, "import m; m.x") == "1"
    await run(pool, identifier, "%%writefile m.py\nx = 2")
    assert await shown(pool, identifier, "import importlib; importlib.reload(m).x") == "2"
    package = "import os\nos.makedirs('p'); open('p/__init__.py', 'w').write('y = 3');"
    await run(pool, identifier, package)
    assert await shown(pool, identifier, "import p; p.y") == "3"


async def test_a_deep_recursion_is_told_in_a_few_lines_and_state_kept(
    pool: SessionPool, identifier: str
) -> None:
    code = "import sys\nx = 5\nsys.setrecursionlimit(10**5)\ndef f(n): return f(n + 1)\nf(0)"
    execution = await run(pool, identifier, code)
    assert execution.error is not None
    assert execution.error.name == "RecursionError"
    assert "[Previous line repeated" in execution.error.traceback
    assert len(execution.error.traceback.splitlines()) < 15
    assert await shown(pool, identifier, "x") == "5"


WITHOUT_A_PERSON = (
    ("import matplotlib.pyplot as plt\nplt.plot([1]); plt.ginput(1)", "Nobody can click"),
    ("plt.waitforbuttonpress()", "Nobody can click"),
    ("%edit notes.py", "There is no editor"),
    ("class PyperclipException(Exception): pass\nraise PyperclipException", "no clipboard"),
    ("# timing\n%%time\n1", "the first line of the code"),
    ("%lprun -f f f()", "%load_ext line_profiler"),
)


async def test_each_habit_that_cannot_work_is_told_at_once_in_a_sentence(
    pool: SessionPool, identifier: str
) -> None:
    for code, told in WITHOUT_A_PERSON:
        error = (await run(pool, identifier, code)).error
        assert error is not None, code
        assert told in error.hint + error.message, code


async def test_a_module_that_is_missing_is_named(pool: SessionPool, identifier: str) -> None:
    execution = await run(pool, identifier, "import no_such_thing.inner")
    assert execution.error is not None
    assert execution.error.missing_module == "no_such_thing.inner"


async def test_options_of_pandas_are_the_codes_own(pool: SessionPool, identifier: str) -> None:
    frame = "import pandas as pd\ndf = pd.DataFrame({f'c{n}': [n] for n in range(30)})\n"
    assert "..." not in await shown(pool, identifier, f"{frame}df")
    code = f"{frame}pd.set_option('display.max_columns', 4)\nprint(df)"
    assert "..." in await shown(pool, identifier, code)


async def test_a_task_that_is_not_awaited_goes_on(pool: SessionPool, identifier: str) -> None:
    begin = (
        "import asyncio\nasync def job():\n    await asyncio.sleep(0.01); return 7\n"
        "task = asyncio.create_task(job())"
    )
    await run(pool, identifier, begin)
    # A cell that runs another one, though the loop is running by now.
    await run(pool, identifier, "%%capture kept\nprint('hidden'); inner = 3")
    assert await shown(pool, identifier, "(kept.stdout, inner)") == "('hidden\\n', 3)"
    assert await shown(pool, identifier, "await task") == "7"


async def test_files_that_nobody_wants_are_not_told(pool: SessionPool, identifier: str) -> None:
    code = "open('helper.py', 'w').write('x = 1'); import os; os.makedirs('.cache', exist_ok=True)"
    await run(pool, identifier, f"{code}\nopen('.cache/y', 'w').write('y');")
    execution = await run(pool, identifier, "import helper; open('kept.txt', 'w').write('k');")
    assert execution.files == ("kept.txt",)


async def test_a_network_that_is_not_there_is_one_sentence(
    pool: SessionPool, identifier: str
) -> None:
    code = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)"
    execution = await run(pool, identifier, code)
    assert execution.error is not None
    assert "no network" in execution.error.hint + execution.error.message
    assert len(execution.error.traceback.splitlines()) < 20


async def test_magics_that_look_back_answer(pool: SessionPool, identifier: str) -> None:
    failed = await run(pool, identifier, "1/0")
    again = await run(pool, identifier, "%tb")
    assert failed.error is not None
    assert again.stderr.text.strip() == failed.error.traceback.strip()
    debugged = await run(pool, identifier, "%debug")
    assert debugged.error is not None
    assert "nobody can type" in debugged.error.message
    await run(pool, identifier, "x = 5\n%store x\ndel x")
    assert await shown(pool, identifier, "%store -r x\nx") == "5"


LYING_TEXT = (
    "class S(str):\n    def __len__(self): return 1\n    def __getitem__(self, i): return self\n"
    "    def encode(self, *a): return 5\n"
)
LIES = (
    f"{LYING_TEXT}class E(Exception):\n    def __str__(self): return S('y' * 10**6)\nraise E('a')",
    """
class M(type):
    __name__ = property(lambda cls: 1 / 0)
class E(Exception, metaclass=M): pass
raise E('a')""",
    """
class E(Exception):
    __class__ = __cause__ = __traceback__ = args = property(lambda self: 1 / 0)
raise E('a')""",
    """
class E(SystemExit):
    code = property(lambda self: 1 / 0)
raise E('a')""",
    """
class E(Exception):
    def __str__(self):
        while True: pass
raise E() from ValueError(E(), E())""",
    f"""{LYING_TEXT}
class R:
    def _repr_html_(self): return S('<b>x</b>' * 1000)
    def __repr__(self): return S('r')
display(R()); display({{'text/plain': S('p' * 9000), 7: 8, 'x/y': object()}}, raw=True)
raise ValueError""",
)
"""Classes that say other things of themselves than is so, raised and displayed."""


async def test_objects_that_lie_about_themselves_cost_no_state(
    pool: SessionPool, identifier: str
) -> None:
    kind = (await pool.metadata()).kind
    await run(pool, identifier, "kept = 1")
    for code in LIES:
        execution = await run(pool, identifier, code)
        assert execution.error is not None, code
        # Sessions in WebAssembly have no timers: what never ends is ended by the time limit.
        assert execution.duration_seconds < 20 or kind == "wasm", code
        assert len(report(execution).text) < 100_000, code
    assert await shown(pool, identifier, "kept") == "1"


async def test_the_history_has_the_code_and_nothing_that_carries_it(
    pool: SessionPool, identifier: str
) -> None:
    await run(pool, identifier, "earlier = 1")
    await run(pool, identifier, "def f(): return 1 / 0")
    failed = await run(pool, identifier, "f()")
    number = "get_ipython().execution_count"
    assert await shown(pool, identifier, f"In[-4:], _i, _ii, {number} - len(In)") == (
        "(['earlier = 1',\n  'def f(): return 1 / 0',\n  'f()',\n"
        f"  'In[-4:], _i, _ii, {number} - len(In)'],\n 'f()',\n 'def f(): return 1 / 0',\n 0)"
    )
    assert "aca_mcp" not in (await run(pool, identifier, "%history")).stdout.text
    assert failed.error is not None
    assert failed.error.traceback.count("1 / 0") == 1


async def test_the_last_values_are_there_by_number(pool: SessionPool, identifier: str) -> None:
    assert await shown(pool, identifier, "_, __") == "('', '')"
    assert await shown(pool, identifier, "%who_ls") == "[]"
    numbered = "n = len(In) - 1\n{!r}"
    for value in "abcd":
        await run(pool, identifier, numbered.format(value))
    assert await shown(pool, identifier, "Out[n], globals()[f'_{n - 1}'], ___") == (
        "('d', 'c', 'b')"
    )
    await run(pool, identifier, "%reset -f out")
    assert await shown(pool, identifier, "len(Out)") == "0"


async def test_what_cannot_read_the_code_is_told_once_by_its_own_lines(
    pool: SessionPool, identifier: str
) -> None:
    await run(pool, identifier, "1 / 0")
    await run(pool, identifier, "reads = get_ipython().input_transformers_cleanup")
    await run(pool, identifier, "reads.append(lambda lines: [].missing)")
    execution = await run(pool, identifier, "6 * 7")
    assert execution.error is not None
    assert execution.error.name == "AttributeError"
    assert "in <lambda>" in execution.error.traceback
    assert execution.stderr.text == ""


@pytest.mark.parametrize(
    "code",
    [
        "for name in dir():\n    if not name.startswith('__'): del globals()[name]",
        "globals().clear()",
        "%reset -f",
    ],
)
async def test_code_that_deletes_every_variable_goes_on_afterwards(
    pool: SessionPool, identifier: str, code: str
) -> None:
    await run(pool, identifier, f"gone = 1\nopen = 2\n{code}\nx = 40\nx")
    assert await shown(pool, identifier, "x + 2") == "42"
    assert await shown(pool, identifier, "_ + 1, __name__, __spec__, In[-1][:1]") == (
        "(43, '__main__', None, '_')"
    )
    assert await shown(pool, identifier, "%who_ls") in {"['x']", "['name', 'x']"}
    assert await shown(pool, identifier, "'gone' in globals(), callable(open)") == "(False, True)"


@pytest.mark.parametrize(
    "code",
    [
        "sys.displayhook = lambda value: print('mine', value)",
        "sys.displayhook = None",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close()",
        "sys.stdout = io.StringIO(); print('not seen')",
    ],
)
async def test_what_code_puts_into_the_place_of_hooks_and_streams_costs_no_later_result(
    pool: SessionPool, identifier: str, code: str
) -> None:
    await run(pool, identifier, f"import io, os, subprocess, sys\nold = sys.stdout\n{code}")
    later = "sys.stdout = sys.stderr = sys.__stdout__ if old.closed else old\nprint('x')\n6 * 7"
    execution = await run(pool, identifier, later)
    assert execution.error is None, execution.error
    assert report(execution).text == "x\n[value]\n42"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("os.system('echo child'); 3", "child\n[value]\n3"),
        ("os.write(1, b'raw\\n'); os.system('echo child'); 3", "raw\nchild\n[value]\n3"),
        ("print('a'); os.system('echo child'); print('b'); 3", "a\nchild\nb\n[value]\n3"),
        ("print('a'); os.system('echo child >&2'); 3", "a\n[stderr]\nchild\n[value]\n3"),
        (
            "sys.stdout = io.StringIO(); print('longer'); os.system('echo child'); 3",
            "child\n[value]\n3",
        ),
        (
            "e = sys.stderr; print('a', file=e); os.system('echo c >&2'); print('b', file=e); 3",
            "[stderr]\na\nc\nb\n[value]\n3",
        ),
    ],
)
async def test_what_python_does_not_see_written_stands_before_the_value_and_cuts_no_line(
    pool: SessionPool, identifier: str, code: str, text: str
) -> None:
    await check_text_of_processes(pool, identifier, f"import io, os, sys\n{code}", text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("%%bash\nfor i in 1 2 3; do echo -n $i; sleep 0.05; done; echo", "123"),
        (
            "%%bash\nprintf a >&2; sleep 0.05; printf 'b\\n' >&2; sleep 0.05; echo c",
            "[stderr]\nab\n[stdout]\nc",
        ),
        ("%%script python3\nfor c in 'abc': print(c, end='', flush=True)", "abc"),
        ("!true\nfor c in 'abc': print(c, end='', flush=True)\n6", "abc\n[value]\n6"),
    ],
)
async def test_a_line_that_is_written_in_pieces_is_one(
    pool: SessionPool, identifier: str, code: str, text: str
) -> None:
    await check_text_of_processes(pool, identifier, code, text)
