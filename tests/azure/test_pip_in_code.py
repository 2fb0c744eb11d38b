"""What code says to pip, by its text: all that a shell would run, and nothing that is text."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from aca_mcp.azure.pip_in_code import commands_in_shell, pip_commands
from aca_mcp.kernel.pip_arguments import arguments_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTALL_TEA = ["install", "tea"]


def commands_of(code: str, names: Mapping[str, str] | None = None) -> list[list[str]]:
    return pip_commands(code, TransformerManager().transform_cell, names or {})


@pytest.mark.parametrize(
    "code",
    [
        "%pip install tea",
        "!pip install tea 2>&1 | tail -5",
        "!pip install tea>/dev/null 2>&1 && echo done || echo not",
        "!cd /tmp; pip3 install tea &",
        "!echo $(pip install tea)",
        "output = !uv pip install tea",
        "import sys\n!{sys.executable} -m pip install tea | tail -1",
        "!python3.12 -m pip install tea",
        "!sudo -H PIP_X=1 pip install tea  # as always",
        "!bash -lc 'pip install tea'",
        "%system pip install tea",
        "%%time\n%pip install tea",
        "%%bash\nif ! python -c 'import tea'; then\n  pip install \\\n    tea # it's\nfi",
        "%%script bash -x\ncat <<'END'\nthat's text: pip install this\nEND\npip install tea",
        "try:\n    import tea\nexcept ImportError:\n    !pip install tea",
        "name = 'tea'\n!pip install {name}",
        "!pip install $name",
        "for name in ['tea']:\n    %pip install {name}",
        "import os\nos.system('pip install tea')",
        "import sys\ncheck_call([sys.executable, '-m', 'pip', 'install', 'tea'])",
        "from subprocess import run\nrun(f'pip install {name}', shell=True)",
        "await create_subprocess_exec('pip', 'install', 'tea')",
    ],
)
def test_a_command_is_found_in_each_way_to_say_it(code: str) -> None:
    assert commands_of(code, {"name": "tea"}) == [_INSTALL_TEA]


@pytest.mark.parametrize(
    "code",
    [
        "text = '%pip install tea'",
        "text = '''\n%pip install tea\n!pip install tea\n'''",
        "# !pip install tea",
        "print('run !pip install tea')",
        "!echo 'first; pip install tea'",
        "!echo pip install tea",
        "%%writefile setup.sh\npip install tea",
        "%%html\npip install tea",
        "subprocess.run(['echo', 'pip install tea'])",
        "subprocess.run(words)",
        "!grep -r pip install tea",
        "!pip install tea 'without an end",
        "def broken(:\n!pip install tea",
        "subprocess.run([" + "x + " * 5000 + "x])",
    ],
)
def test_text_is_no_command(code: str) -> None:
    assert commands_of(code) == []


def test_what_is_made_at_run_time_is_not_guessed() -> None:
    assert commands_of("!pip install {name()}\n!pip install tea > $HOME/log") == [_INSTALL_TEA]
    assert commands_of("import os; os.system('pip install ' + name)") == []
    many = [f"n{number}" for number in range(10)]
    code = f"for a in {many}:\n  for b in {many}:\n    os.system(f'pip install {{a}} {{b}}')"
    assert commands_of(code) == []


_ARGUMENTS = st.lists(
    st.sampled_from(["tea", "'tea>=1,<2'", '"green tea"', "gr\\ een", "-q", "'#'", "pan[das]"]),
    min_size=1,
    max_size=3,
).map(" ".join)
_SAID = st.builds(
    "{}{} install {}{}".format,
    st.sampled_from(["", "X=1 ", "! ", "command ", "time "]),
    st.sampled_from(["pip", "pip3", "python -m pip", "uv pip"]),
    _ARGUMENTS,
    st.sampled_from(["", " 2>&1", " >/dev/null", ">/dev/null 2>&1", " 2> /dev/null", " # it's"]),
)
_OTHER = st.sampled_from(["true", "false", "echo 'pip install no'", 'echo "; pip install no"'])
_COMMAND = st.recursive(
    _SAID | _OTHER,
    lambda inner: st.one_of(
        st.builds("{}\n{}".format, inner, inner),
        st.builds("{}\n".format, inner).map("if true; then {}fi".format),
        st.builds("{}\n".format, inner).map("( {})".format),
        st.builds("{}\n".format, inner).map("{{ {}}}".format),
        st.builds("{}\n".format, inner).map("echo $( {})".format),
        st.builds("{}\n".format, inner).map("for n in 1 2; do {}done".format),
        st.builds(
            "{{ {}\n}} {} {{ {}\n}}".format,
            inner,
            st.sampled_from(["&&", "||", ";", "|", "&"]),
            inner,
        ),
    ),
    max_leaves=5,
)
_SHELL = """\
time() { "$@"; }
pip() { (for each; do printf '%s\\0' "$each"; done; printf '\\n') >&7; }
pip3() { pip "$@"; }
uv() { shift; pip "$@"; }
python() { shift 2; pip "$@"; }
"""


@settings(max_examples=60)
@given(script=_COMMAND)
def test_all_that_a_shell_runs_is_found(script: str) -> None:
    read, write = os.pipe()
    # What is written by all of a generated script fits into a pipe.
    arguments = ["sh", "-c", f"exec 7>&{write}\n{_SHELL}{script}\nwait"]
    subprocess.run(arguments, pass_fds=[write], capture_output=True, timeout=60, check=False)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as file:
        ran = [line.rstrip("\n").split("\0")[:-1] for line in file]
    found = [arguments_of(words) for words in commands_in_shell(script)]
    for words in ran:
        assert words in found
    assert ["install", "no"] not in found
