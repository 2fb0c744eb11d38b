"""``aca-mcp exec`` between pipes and files that are not as they might be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND


@pytest.mark.parametrize("word", ["-", "script.py"])
@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (b"\xef\xbb\xbfprint('caf\xc3\xa9')\r\n", ("caf\xe9\n", "", 0)),
        (b"# -*- coding: latin-1 -*-\nprint('caf\xe9')\n", ("caf\xe9\n", "", 0)),
        (b"print('caf\xe9')\n", ("", "is not a script that can be read, in UTF-8.\n", 2)),
        (b"# coding: nonesuch\n", ("", "is not a script that can be read, in UTF-8.\n", 2)),
    ],
)
def test_code_is_read_as_python_reads_it(
    source: bytes, shown: tuple[str, str, int], word: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_bytes(source)
    done = subprocess.run(
        [*COMMAND, "exec", word],
        cwd=tmp_path,
        input=source,
        capture_output=True,
        timeout=100,
        check=False,
    )
    stdout, stderr, code = shown
    assert (done.stdout.decode(), done.returncode) == (stdout, code)
    assert done.stderr.decode().endswith(stderr)


def test_what_the_encoding_of_a_pipe_does_not_have_is_shown_by_its_number(tmp_path: Path) -> None:
    code = "print('\\xe9\\u2713')\n'\\u6f22'"
    done = subprocess.run(
        [*COMMAND, "exec", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"\xe9\\u2713\n'\\u6f22'\n", b"")


def test_a_reader_that_leaves_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    code = "import itertools\nfor i in itertools.count(): print(i)"
    with subprocess.Popen(
        [*COMMAND, "exec", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == "aca-mcp: stdout cannot be used: Broken pipe.\n"
    assert process.returncode == 1


@pytest.mark.parametrize(
    "command", [["exec", "1"], ["env", "list"], ["install", "codex", "--print"]]
)
def test_a_disk_that_is_full_is_named(command: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *command],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=100,
            check=False,
        )
    assert done.stderr.endswith("aca-mcp: stdout cannot be used: No space left on device.\n")
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("exec 6*7 <&-", ("42\n", "", 0)),
        ("exec - <&-", ("", "", 0)),
        ("exec 6*7 >&-", ("", "", 0)),
        ("exec 'import sys; print(1, file=sys.stderr)' 2>&-", ("", "", 0)),
        ("exec 6*7 <&- >&- 2>&-", ("", "", 0)),
        ("repl <&-", ("", "aca-mcp: A prompt needs a terminal.", 2)),
    ],
)
def test_a_closed_stream_is_one_that_nobody_reads_or_writes(
    arguments: str, shown: tuple[str, str, int], tmp_path: Path
) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {arguments}', "bash", *COMMAND],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    stdout, stderr, code = shown
    assert (done.stdout, done.returncode) == (stdout, code)
    assert done.stderr.startswith(stderr) if stderr else not done.stderr


def test_what_is_printed_and_displayed_comes_at_once_in_the_order_of_making(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfor i in range(2):\n    print('out', i)\n    display(f'shown {i}')\n"
        "    print('err', i, file=sys.stderr)\ntime.sleep(1000)"
    )
    with subprocess.Popen(
        [*COMMAND, "exec", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip() for _ in range(6)]
        process.kill()
    assert lines == ["out 0", "'shown 0'", "err 0", "out 1", "'shown 1'", "err 1"]
