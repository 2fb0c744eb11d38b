"""``aca-mcp exec`` as a person uses it: a real process, a real session."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import pytest

from tests.support.command_line import COMMAND, aca_mcp
from tests.support.pictures import png

WHAT_IPYTHON_NEEDS = [
    "IPython",
    "asttokens",
    "executing",
    "ipython_pygments_lexers",
    "matplotlib_inline",
    "pexpect",
    "prompt_toolkit",
    "ptyprocess",
    "pure_eval",
    "pygments",
    "stack_data",
    "traitlets",
    "typing_extensions",
    "wcwidth",
]
run = partial(aca_mcp, "exec")


def test_code_prints_to_both_streams_and_its_value_is_shown(tmp_path: Path) -> None:
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7"
    done = run(code, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n42\n", "err\n", 0)


def test_an_exception_is_shown_and_the_exit_code_is_1(tmp_path: Path) -> None:
    done = run("print('before')\n1 / 0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "before\n"
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in done.stderr


def test_a_script_works_on_uploads_and_leaves_downloads(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "reverse.py").write_text(
        "from pathlib import Path\n"
        "Path('out').mkdir()\n"
        "_ = Path('out/back.bin').write_bytes(Path('data.bin').read_bytes()[::-1])\n",
        encoding="utf-8",
    )
    done = run("reverse.py", "--upload", "data.bin", "--download", "out/back.bin", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "aca-mcp: saved back.bin\n")
    assert (tmp_path / "back.bin").read_bytes() == (bytes(range(256)) * 1000)[::-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "back.bin",
        "data.bin",
        "reverse.py",
    ]


SCRIPT = """\
import sys
from multiprocessing import get_context
from pathlib import Path


def share(cups):
    return 1 / cups


print(sys.argv, Path(__file__).parent.joinpath("cups.txt").read_text())
print(Path(__file__).read_text("utf-8-sig").splitlines()[0])
with get_context("spawn").Pool(1) as pool:
    print(pool.map(share, [2]))
share(0)
"""


def test_a_script_has_its_arguments_its_file_and_its_name_in_tracebacks(tmp_path: Path) -> None:
    (tmp_path / "share.py").write_text(f"\N{BYTE ORDER MARK}{SCRIPT}", encoding="utf-8")
    (tmp_path / "cups.txt").write_text("310", encoding="utf-8")
    done = run("share.py", "a b", "--upload", "cups.txt", "--", "--loud", "-1", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "['share.py', 'a b', '--loud', '-1'] 310",
        "import sys",
        "[0.5]",
    ]
    assert [line.strip() for line in done.stderr.splitlines()] == [
        "Traceback (most recent call last):",
        'File "/mnt/data/share.py", line 14, in <module>',
        "share(0)",
        'File "/mnt/data/share.py", line 7, in share',
        "return 1 / cups",
        "ZeroDivisionError: division by zero",
    ]


def test_arguments_are_brought_however_short_executions_must_be(tmp_path: Path) -> None:
    code, shortest = "import sys; print(sys.argv[1])", {"ACA_MCP_LOCAL_MAX_TIMEOUT_SECONDS": "30"}
    done = run(code, "a", "--timeout", "20", cwd=tmp_path, **shortest)
    assert (done.stdout, done.stderr) == ("a\n", "")
    done = run(code, "a", "--timeout", "40", cwd=tmp_path, **shortest)
    assert done.stderr.startswith("aca-mcp: --timeout must be at most ACA_MCP_LOCAL_MAX_TIMEOUT")


@pytest.mark.parametrize("word", ["-c", "-"])
def test_code_has_arguments_as_python_gives_them(word: str, tmp_path: Path) -> None:
    code = "import sys; print(sys.argv, __name__, In[1] == In[-1])"
    words = (code,) if word == "-c" else (word,)
    done = run(*words, "sales.csv", "--", "-v", cwd=tmp_path, stdin=code)
    assert (done.stdout, done.stderr) == (f"['{word}', 'sales.csv', '-v'] __main__ True\n", "")


def test_figures_are_saved_without_writing_over_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "figure-1.png").write_bytes(b"mine")
    done = run(f"from IPython.display import Image; Image({png()!r})", cwd=tmp_path)
    assert done.stderr == "aca-mcp: saved figure-2.png\n"
    assert (tmp_path / "figure-1.png").read_bytes() == b"mine"
    assert (tmp_path / "figure-2.png").read_bytes().startswith(b"\x89PNG")


LITTLE_DISK = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
runpy.run_module("aca_mcp", run_name="__main__")
"""


def test_what_does_not_fit_on_the_disk_leaves_no_half_file_and_the_rest_is_shown(
    tmp_path: Path,
) -> None:
    (tmp_path / "out.ipynb").write_text("as it was", encoding="utf-8")
    code = """
import matplotlib.pyplot as plt, numpy as np
plt.imsave("noise.png", np.random.default_rng(0).random((300, 300, 3)))
for image in (plt.imread("noise.png"), np.zeros((2, 2))):
    _ = plt.figure(figsize=(4, 4)), plt.imshow(image)
    plt.show()
6 * 7
"""
    # Not measured: what is measured would not fit either.
    unmeasured = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_DISK, "exec", code, "--notebook", "out.ipynb"],
        cwd=tmp_path,
        env=unmeasured,
        capture_output=True,
        encoding="utf-8",
        timeout=45,
    )
    figure, rest, notebook = done.stderr.splitlines()
    assert figure == "aca-mcp: figure-1.png cannot be used: File too large."
    assert rest == "aca-mcp: saved figure-1.png"
    assert notebook.endswith("out.ipynb cannot be used: File too large.")
    assert (done.stdout, done.returncode) == ("42\n", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"figure-1.png", "out.ipynb"}
    assert (tmp_path / "out.ipynb").read_text(encoding="utf-8") == "as it was"


def test_code_can_come_from_stdin(tmp_path: Path) -> None:
    assert run("-", cwd=tmp_path, stdin="print(input)").returncode == 0


def test_a_download_that_cannot_be_written_is_a_sentence_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "out").mkdir()
    done = run("_ = open('out', 'w').write('x')", "--download", "out", cwd=tmp_path)
    assert (done.stderr, done.returncode) == ("aca-mcp: out cannot be used: Is a directory.\n", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_code_wrote_before_it_failed_is_downloaded_and_the_rest_named(tmp_path: Path) -> None:
    code = "for name in ('a.csv', 'b.csv'): _ = open(name, 'w').write('1')\n1/0"
    done = run(code, "--download", "a.csv", "--download", "c.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    saved, missing, left = done.stderr.splitlines()[-3:]
    assert saved == "aca-mcp: saved a.csv"
    assert "c.csv" in missing
    assert left.startswith("aca-mcp: the code wrote files")
    assert left.endswith("say --download b.csv")


def test_a_missing_download_is_a_sentence(tmp_path: Path) -> None:
    done = run("1", "--download", "none.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/mnt"])
def test_packages_are_there_wherever_the_interpreter_lives(place: str) -> None:
    """Sessions have a /tmp and a /mnt of their own, and must not lose a clone's .venv by that."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        prefix = f"{folder}/environment"
        venv.create(prefix, symlinks=True)
        packages = Path(sysconfig.get_path("purelib", vars={"base": prefix}))
        for name in WHAT_IPYTHON_NEEDS:
            for found in Path(sysconfig.get_path("purelib")).glob(f"{name}*"):
                copy = shutil.copytree if found.is_dir() else shutil.copy
                copy(found, packages / found.name)
        (packages / "only_there.py").write_text("answer = 42", encoding="utf-8")
        code = "import only_there; only_there.answer"
        done = run(code, "--local-python", f"{prefix}/bin/python", cwd=Path(folder))
    assert (done.stdout, done.stderr) == ("42\n", ""), done.stderr


def test_time_that_is_up_is_said(tmp_path: Path) -> None:
    done = run("while True: pass", "--timeout", "0.5", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("KeyboardInterrupt\naca-mcp: time is up; --timeout gives more\n")
    assert 'Traceback (most recent call last):\n  File "/' not in done.stderr


def test_a_session_that_dies_is_said(tmp_path: Path) -> None:
    done = run("print('last words', flush=True)\nimport os; os._exit(3)", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "last words\n"
    assert "the code did not come to its end: its process ended itself (exit code 3)" in done.stderr


async def test_output_appears_while_the_code_runs(tmp_path: Path) -> None:
    """The second line waits for a file that is only made after the first was seen."""
    code = "print('first', flush=True)\nimport time\ntime.sleep(30)"
    with anyio.fail_after(30):
        async with await anyio.open_process(
            [*COMMAND, "exec", code], cwd=tmp_path, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            assert await process.stdout.receive() == b"first\n"
            assert process.returncode is None
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
            assert process.stderr is not None
            told = b"".join([piece async for piece in process.stderr]).decode()
            assert told.startswith("aca-mcp: interrupting the code; Ctrl-C again ends this\n")
            assert told.endswith("\nKeyboardInterrupt\n")


async def test_a_second_ctrl_c_ends_code_that_does_not_heed_the_first_without_a_traceback(
    tmp_path: Path,
) -> None:
    code = (
        "import signal, time\n_ = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\nwhile True: time.sleep(1)"
    )
    with anyio.fail_after(30):
        async with await anyio.open_process(
            [*COMMAND, "exec", code], cwd=tmp_path, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert await process.stdout.receive() == b"deaf\n"
            process.send_signal(signal.SIGINT)
            assert b"interrupting the code" in await process.stderr.receive()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
            assert b"Traceback" not in b"".join([piece async for piece in process.stderr])


async def test_a_pool_that_does_not_answer_is_named_within_three_seconds(tmp_path: Path) -> None:
    """The listener's queue takes the connection, and nobody reads what is asked."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        environment = {
            **os.environ,
            "ACA_MCP_AZURE_CREDENTIAL": "emulator",
            "ACA_MCP_POOL_MANAGEMENT_ENDPOINT": (
                f"http://127.0.0.1:{port}/subscriptions/s/resourceGroups/g/sessionPools/p"
            ),
        }
        with anyio.fail_after(30):
            async with await anyio.open_process(
                [*COMMAND, "exec", "1"], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL
            ) as process:
                assert process.stderr is not None
                assert b"no answer from 127.0.0.1 yet; trying" in await process.stderr.receive()
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 130


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("exit(4)", 4, ""),
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit('no data')", 1, "no data\n"),
        ("import sys; sys.exit(-1)", 255, ""),
    ],
)
def test_what_code_exits_with_is_the_exit_code(
    code: str, exit_code: int, said: str, tmp_path: Path
) -> None:
    done = run(code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", said)


def test_what_ran_can_be_had_as_a_notebook_also_where_it_failed(tmp_path: Path) -> None:
    done = run("print(1)\n1 / 0", "--notebook", "out.ipynb", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert done.stderr.endswith("aca-mcp: saved out.ipynb\n")
    (cell,) = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cell["source"] == "print(1)\n1 / 0"
    assert [output["output_type"] for output in cell["outputs"]] == ["stream", "error"]


@pytest.mark.parametrize("bytes_sent", [24 * 2**20])
def test_on_a_terminal_there_is_a_bar_and_no_control_character_of_the_code(
    tmp_path: Path, bytes_sent: int
) -> None:
    """A title or a clipboard could be set, or a line that was shown be written over."""
    (tmp_path / "big.bin").write_bytes(bytes(bytes_sent))
    code = r"print('\x1b]0;owned\x07' + 'x\x9b2J')"
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "exec", code, "--upload", "big.bin"],
        cwd=tmp_path,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        shown += piece
    os.close(master)
    assert process.wait(30) == 0
    assert "\N{REPLACEMENT CHARACTER}]0;owned".encode() in shown
    assert b"\x1b]0;" not in shown
    assert "\x9b2J".encode() not in shown
    assert b"Uploading big.bin" in shown


def test_a_file_of_any_name_is_a_script_and_c_says_that_it_is_code(tmp_path: Path) -> None:
    (tmp_path / "7").write_text("import sys; print(__file__, sys.argv)", encoding="utf-8")
    assert run("7", "a", cwd=tmp_path).stdout == "/mnt/data/7 ['7', 'a']\n"
    assert run("-c", "7", cwd=tmp_path).stdout == "7\n"


def test_the_cells_of_a_notebook_run_in_order_until_one_fails(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": ["x = 1\n", "x"]},
        {"cell_type": "code", "source": ""},
        {"cell_type": "code", "source": "x / 0"},
        {"cell_type": "code", "source": "print('never')"},
    ]
    notebook = tmp_path / "work.ipynb"
    notebook.write_text(json.dumps({"cells": cells, "nbformat": 4}), encoding="utf-8")
    done = run("work.ipynb", "--notebook", "out.ipynb", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("1\n", 1)
    assert "<cell 2>" in done.stderr
    ran = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell["source"] for cell in ran] == [
        "x = 1\nx",
        "x / 0",
    ]
    notebook.write_text("{}", encoding="utf-8")
    done = run("work.ipynb", cwd=tmp_path)
    assert done.stderr == "aca-mcp: work.ipynb is not a notebook that can be read, of nbformat 4.\n"
    assert done.returncode == 2
