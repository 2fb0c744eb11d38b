"""Running code in sessions of a local pool: state, output and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import InvalidRequestError
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import ExecutionStatus, OutputChunk
from tests.contract.running import shown
from tests.local.pools import MEBIBYTE, configuration, result_of, run, running
from tests.support.streams import content
from tests.support.widget_library import WRITE

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

# State and output


async def test_the_streams_are_told_apart(pool: LocalSessionPool, identifier: str) -> None:
    execution = await run(
        pool, identifier, "import sys\nprint('é')\nprint('two', file=sys.stderr)\n!echo three"
    )
    assert execution.stdout.text == "é\nthree\n"
    assert execution.stdout.total_bytes == 9
    assert execution.stderr.text == "two\n"


BY_OTHERS = (
    "import os, subprocess; subprocess.run('echo 2 >&2', shell=True)",
    "os.system('echo 2 >&2')",
    "!echo 2 >&2",
    "if (child := os.fork()) == 0: os.write(2, b'2\\n'); os._exit(0)\nos.waitpid(child, 0)",
    "child = subprocess.Popen('echo 2 >&2', shell=True); child.wait()",
)


async def test_what_another_process_wrote_stands_before_the_line_that_was_printed_next(
    pool: LocalSessionPool, identifier: str
) -> None:
    for code in BY_OTHERS:
        code = f"print(1)\n{code}\nprint(3)"
        assert await shown(pool, identifier, code) == "1\n[stderr]\n2\n[stdout]\n3", code
    code = "print('in a ', end=''); subprocess.run(['echo', 'line']); print('next')"
    assert await shown(pool, identifier, code) == "in a line\nnext"


async def test_the_beginning_of_a_line_stands_before_what_stderr_has_next(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = "import sys; print('1 ', end=''); print(2, file=sys.stderr); print(3)"
    for before in ("", "display(0); "):
        text = await shown(pool, identifier, before + code)
        assert text.removeprefix("0\n") == "1 \n[stderr]\n2\n[stdout]\n3"


async def test_a_program_that_is_not_there_is_told_by_the_codes_own_lines(
    pool: LocalSessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, "import subprocess; subprocess.run(['nosuch'])")
    assert execution.error is not None
    assert "aca_mcp" not in execution.error.traceback
    assert "no program 'nosuch'" in execution.error.hint


async def test_output_appears_while_the_code_runs_and_files_move_meanwhile(
    pool: LocalSessionPool, identifier: str
) -> None:
    """The code waits for a file that is uploaded once its output was seen."""
    code = "import os, time\nprint('ready', flush=True)\nwhile not os.path.exists('go'): pass"
    async with running(pool, identifier, code) as ended:
        session = await pool.get_session(identifier)
        assert session is not None
        assert session.running
        assert session.expires_at is None
        await pool.upload_file(identifier, "go", content())
    assert ended[0].status is ExecutionStatus.SUCCEEDED


async def test_output_comes_in_order_and_characters_come_whole(
    pool: LocalSessionPool, identifier: str
) -> None:
    seen: list[OutputChunk] = []
    code = (
        "import os, sys, time\n"
        "for byte in 'aé☃'.encode():\n"
        "    os.write(1, bytes([byte])); time.sleep(0.01)\n"
        "print('end', file=sys.stderr)\n"
        "os.write(1, b'\\xe2\\x98')"
    )
    execution = await run(pool, identifier, f"{code};", on_output=seen.append)
    out = [chunk.text for chunk in seen if chunk.stream == "stdout"]
    assert "".join(out) == "aé☃\N{REPLACEMENT CHARACTER}"
    assert [chunk.text for chunk in seen if chunk.stream == "stderr"] == ["end\n"]
    assert execution.stdout.text == "".join(out)


@pytest.mark.parametrize("code", ["print('\ud800')", "# \ud800", "\x00", "'" * 1001, "\\"])
async def test_code_that_is_hardly_text_is_an_error_of_the_code(
    pool: LocalSessionPool, identifier: str, code: str
) -> None:
    execution = await run(pool, identifier, code)
    assert execution.session_lost is None
    assert result_of(await run(pool, identifier, "1")) == "1"


async def test_code_too_large_to_be_sent_is_refused_and_changes_nothing(
    pool: LocalSessionPool, identifier: str
) -> None:
    await run(pool, identifier, "x = 1")
    with pytest.raises(InvalidRequestError, match="The code is too long to be sent"):
        await run(pool, identifier, "#" * (17 * MEBIBYTE))
    assert result_of(await run(pool, identifier, "x")) == "1"


async def test_large_code_is_sent_while_the_session_works_on_it(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert result_of(await run(pool, identifier, f"#{'x' * 4 * MEBIBYTE}\n2")) == "2"


async def test_figures_and_tables_are_shown_whatever_was_imported_by_then() -> None:
    """Who comes early is not kept waiting for imports. A module that is missing is no obstacle."""
    ahead = configuration(preimport=("no_such_module", "pandas", "matplotlib.pyplot"))
    async with open_local_pool(ahead) as pool:
        code = (
            "import matplotlib.pyplot as plt, pandas as pd\n"
            "table = pd.DataFrame({'a': [1]})\n"
            "table.plot(); plt.figure().add_subplot()\n"
            "table"
        )
        execution = await run(pool, "early", code, timeout=60)
        assert result_of(execution) == "   a\n0  1"
        images = [output.data["image/png"] for output in execution.outputs[1:]]
        assert len(images) == 2
        for image in images:
            assert isinstance(image, bytes)
            assert image.startswith(b"\x89PNG")
        with anyio.fail_after(30):
            ready = "False"
            while ready == "False":
                await pool.stop_session("later")
                code = "import sys; 'matplotlib.pyplot' in sys.modules"
                ready = result_of(await run(pool, "later", code))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
async def test_what_workers_that_begin_anew_print_is_there_although_a_pool_ends_them(
    pool: LocalSessionPool, identifier: str, method: str
) -> None:
    code = (
        "import multiprocessing as mp\ndef work(n): print('worked on', n)\n"
        f"for n in range(3):\n"
        f"    with mp.get_context('{method}').Pool(1) as workers: workers.map(work, [n])\n"
        "    print('done')"
    )
    lines = "".join(f"worked on {n}\ndone\n" for n in range(3))
    assert await shown(pool, identifier, code) == lines.rstrip()


async def test_lines_of_compiled_code_stand_where_they_were_printed(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = (
        "import ctypes\nlibrary = ctypes.CDLL(None)\n"
        "for n in range(2):\n    print('Python', n); library.puts(b'C'); display(n)"
    )
    await run(pool, identifier, code)
    assert await shown(pool, identifier, code) == "Python 0\nC\n0\nPython 1\nC\n1"


async def test_what_clears_the_screen_leaves_what_comes_after(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = "import os\nfor n in range(3): os.system('clear'); print('frame', n)"
    assert await shown(pool, identifier, code) == "frame 2"


SILENCERS = (
    "%%capture captured",
    "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as out:",
    "from IPython.utils.capture import capture_output\nwith capture_output() as captured:",
)
"""What takes the place of stdout for what stands in it."""


@pytest.mark.parametrize("silencer", SILENCERS)
async def test_what_a_shell_command_prints_goes_where_the_code_around_it_prints(
    pool: LocalSessionPool, identifier: str, silencer: str
) -> None:
    code = f"{silencer}\n    !echo shell\n    print('Python')"
    code = code.replace("\n    ", "\n") if silencer.startswith("%%") else code
    assert await shown(pool, identifier, code) == "[done, no output]"
    taken = "out.getvalue()" if "redirect" in silencer else "captured.stdout"
    assert await shown(pool, identifier, f"print({taken})\n!echo again") == (
        "shell\nPython\n\nagain"
    )


async def test_what_a_shell_command_prints_within_an_output_widget_stands_there(
    pool: LocalSessionPool, identifier: str
) -> None:
    assert (await run(pool, identifier, WRITE)).error is None
    code = "o = Output(); display(o); print('before')\nwith o:\n    !echo shell\nprint('after')"
    assert await shown(pool, identifier, code) == "shell\nbefore\nafter"


async def test_a_shell_command_has_the_names_of_the_function_that_it_stands_in(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = "def tell(name):\n    !echo {name} $name {{name}}; exit 3\ntell('x')\n_exit_code"
    assert await shown(pool, identifier, code) == "x x {name}\n[value]\n3"
    assert (await shown(pool, identifier, "!kill -9 $$\nprint(_exit_code)")) == "-9"
    assert "%cd" in await shown(pool, identifier, "!cd /tmp")


async def test_where_earlier_code_has_stdout_write_to_is_told_when_something_is_printed(
    pool: LocalSessionPool, identifier: str
) -> None:
    for place, name in (("io.StringIO()", "a StringIO"), ("open('log.txt', 'w')", "log.txt")):
        await run(pool, identifier, f"import io, sys; sys.stdout = {place}; print(1); 1 / 0")
        text = await shown(pool, identifier, "print('lost')")
        assert text.startswith(f"[stderr]\nWhat is printed goes to {name}, ")
        assert await shown(pool, identifier, "2 + 2") == "4"
        code = "sys.stdout = sys.__stdout__; print('seen')"
        assert await shown(pool, identifier, code) == "seen"


async def test_what_compiled_code_said_before_a_crash_is_told(pool: LocalSessionPool) -> None:
    code = "import ctypes; ctypes.CDLL(None).puts(b'fatal: no such device'); ctypes.string_at(0)"
    execution = await pool.execute("crashes", code, timeout_seconds=40)
    assert execution.stdout.text == "fatal: no such device\n"


# Time


async def test_a_shell_command_past_its_time_is_interrupted_too(
    pool: LocalSessionPool, identifier: str
) -> None:
    execution = await run(pool, identifier, "kept = 1\n!sleep 60\n!sleep 60", timeout=0.5)
    assert execution.status is ExecutionStatus.TIMED_OUT
    assert result_of(await run(pool, identifier, "kept")) == "1"


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_program_that_takes_the_interpreters_place_is_waited_for(steps: int) -> None:
    slow = "for n in 1 2 3; do echo $n; sleep 0.3; done; echo late >&2; exit 3"
    async with open_local_pool(configuration(checkpoints=steps)) as pool:
        code = f"import os; print('begin'); os.execvp('sh', ['sh', '-c', {slow!r}])"
        execution = await run(pool, "session", code)
        assert execution.stdout.text == "begin\n1\n2\n3\n"
        assert execution.stderr.text == "late\n"
        ended = execution.rollback.reason if execution.rollback else execution.session_lost
        assert ended == "its process ended itself (exit code 3)"
        assert result_of(await run(pool, "session", "6 * 7")) == "42"


async def test_a_program_in_the_interpreters_place_has_the_time_of_its_code() -> None:
    async with open_local_pool(configuration()) as pool:
        code = "import os; os.execvp('sh', ['sh', '-c', 'echo begun; sleep 60'])"
        execution = await run(pool, "session", code, timeout=2)
        assert execution.status is ExecutionStatus.TIMED_OUT
        assert execution.stdout.text == "begun\n"


FONT = """
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
pen = TTGlyphPen(None)
pen.moveTo((0, 0)); pen.lineTo((0, 700)); pen.lineTo((700, 700)); pen.closePath()
shape = pen.glyph()
font = FontBuilder(1000, isTTF=True)
font.setupGlyphOrder(['.notdef', 'sign'])
font.setupCharacterMap({0x12000: 'sign'})
font.setupGlyf({'.notdef': shape, 'sign': shape})
font.setupHorizontalMetrics({'.notdef': (800, 0), 'sign': (800, 0)})
font.setupHorizontalHeader(ascent=800, descent=-200)
font.setupNameTable({'familyName': 'Wedges', 'styleName': 'Regular'})
font.setupOS2(); font.setupPost()
font.save('wedges.ttf')
"""


async def test_a_font_that_code_adds_has_what_the_chosen_ones_lack(
    pool: LocalSessionPool, identifier: str
) -> None:
    draw = (
        "import matplotlib.pyplot as plt\nfrom matplotlib import font_manager\n"
        "for family in ('sans-serif', 'serif', ['DejaVu Sans Mono']):\n"
        "    with plt.rc_context({'font.family': family}):\n"
        "        plt.figure(figsize=(1, 1)).text(0.5, 0.5, chr(0x12000)); plt.show()\n"
    )
    lacking = await pool.execute(identifier, FONT + draw, timeout_seconds=40)
    assert "boxes" in lacking.stderr.text
    add = "font_manager.fontManager.addfont('wedges.ttf')\n"
    found = await pool.execute(identifier, f"{add}{draw}", timeout_seconds=40)
    assert found.stderr.text == ""
    assert len(found.outputs) == 3
