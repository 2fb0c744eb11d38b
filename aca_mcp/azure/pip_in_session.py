"""``pip`` in a session of an Azure pool: what a cell asks for is fetched before the cell runs.

While code runs, nothing can be asked of who holds the session. So the cell is looked at first: what
its commands want goes to the package broker, and what came of each is kept here, beside programs
called ``pip`` that code finds before any other and that give this answer. All else of a command
(pipes, redirections, what depends on its exit code) is done by the shell, as always. Travels into
sessions (``sent_modules``): Python 3.10, and IPython where it is there.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import platform
import shlex
import sys
import tempfile
import warnings
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aca_mcp.azure.pip_in_code import pip_commands
from aca_mcp.kernel.distributions import installed_packages
from aca_mcp.kernel.pip_arguments import wanted_of

PREFIX = "aca-mcp:"
WORK_DIRECTORY = "/mnt/data"
_MAX_COMMANDS = 20
_MAX_FILE_CHARACTERS = 100_000
_NAMES = ("pip", "pip3", f"pip3.{sys.version_info.minor}", "uv", "conda", "mamba")
_NOT_UNPACKED = (
    "ERROR: The packages were uploaded, and the session could not unpack them: its disk may be "
    "full. Nothing was installed.\n"
)
_COMMAND = '#!/bin/sh\nACA_MCP_COMMAND={name} exec {python} {program} "$@"\n'
_SUDO = '#!/bin/sh\nwhile case "$1" in -*) ;; *) false ;; esac; do shift; done\nexec "$@"\n'
_PROGRAM = '''\
"""Answers what was asked before the code ran; all else is the business of the command itself."""
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [each for each in sys.path if os.path.abspath(each) != here]
if __name__ == "__main__":
    import json, shutil
    name = os.environ.pop("ACA_MCP_COMMAND", "pip")
    words = sys.argv[1:]
    arguments = words[1:] if name == "uv" and words[:1] == ["pip"] else words
    if name == "uv" and words[:1] == ["add"]:
        arguments = ["install", *words[1:]]
    if arguments[:1] == ["install"] and words[:1] in (["install"], ["pip"], ["add"]):
        with open(os.path.join(here, "answers.json"), encoding="utf-8") as file:
            told = json.load(file)
        found = [answer for known, answer in told["answers"] if known == arguments]
        answer = found[-1] if found else [told["otherwise"], 1]
        if answer is not None:
            (sys.stderr if answer[1] else sys.stdout).write(answer[0])
            sys.exit(answer[1])
    for variable in ("PATH", "PYTHONPATH"):
        left = [each for each in os.environ.get(variable, "").split(os.pathsep) if each != here]
        os.environ[variable] = os.pathsep.join(left)
    if name.startswith("pip"):
        os.execv(sys.executable, [sys.executable, "-m", "pip", *words])
    program = shutil.which(name)
    if program is None:
        sys.exit(f"{name} is not available in this session.")
    os.execv(program, [program, *words])
else:
    del sys.modules[__name__]
    import pip
'''


@dataclass
class State:
    """What this module remembers from one cell to the next."""

    directory: Path | None = None
    """Of the programs, once they are made."""
    otherwise: str = ""
    """What they print where nothing was asked for."""
    answers: list[tuple[list[str], tuple[str, int] | None]] = field(default_factory=list)


state = State()


def facts() -> str:
    """The interpreter, and what it has: version, machine, and name and version of each package."""
    packages = [(name, version) for name, version, _ in installed_packages()]
    return packed([sys.version_info[:2], platform.machine(), packages])


def packages() -> str:
    """Name, version and modules of each package."""
    return packed(installed_packages())


def look(code: str, otherwise: str) -> str:
    """Which packages code asks for: of each command its arguments, and what it wants or its error.

    Args:
        code: a cell that is about to run.
        otherwise: what commands print that were not seen here.
    """
    shell = _shell()
    names = {} if shell is None else {k: v for k, v in shell.user_ns.items() if type(v) is str}
    state.answers, state.otherwise = [], otherwise
    commands: list[list[str]] = []
    with suppress(Exception):  # a transformer of the user's may raise anything
        commands = pip_commands(code, shell.transform_cell if shell else str, names)
    _make(shell)
    _write_answers()
    installs = [each for each in commands if each[:1] == ["install"]][:_MAX_COMMANDS]
    return packed([(each, _wanted(each[1:])) for each in installs])


def settle(archives: list[str], arguments: list[str], answer: tuple[str, int] | None) -> str:
    """Unpack archives in the work directory, and have the programs answer a command.

    Args:
        archives: names of files, which are removed.
        arguments: the command's.
        answer: what is printed, and the exit code; None to leave it to the real program.
    """
    unpacked = unpack(archives)
    state.answers.append((arguments, answer if unpacked else (_NOT_UNPACKED, 1)))
    _write_answers()
    return packed(unpacked)


def bring(archives: list[str]) -> str:
    """Unpack archives in the work directory; whether it went well."""
    return packed(unpack(archives))


def unpack(archives: list[str]) -> bool:
    """Let this process, and those that it starts, import what is in archives."""
    if not archives:
        return True
    there = tempfile.mkdtemp(prefix="packages-")
    try:
        for name in archives:
            archive = Path(WORK_DIRECTORY, name)
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(there)
            archive.unlink()
    except (OSError, zipfile.BadZipFile, zlib.error):
        return False
    sys.path.append(there)
    _put("PYTHONPATH", there, first=False)
    importlib.invalidate_caches()
    return True


def packed(value: object) -> str:
    """A value as text that no way changes, and that is remembered as no value of the user's."""
    return PREFIX + base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def _wanted(arguments: list[str]) -> dict[str, object]:
    """What one command wants, with what files of the session say."""
    try:
        wanted = wanted_of(arguments, "", _read)
    except ValueError as error:
        return {"error": str(error)}
    return {"requirements": wanted.requirements, "has_wheels": bool(wanted.wheels)}


def _read(path: Path) -> str:
    for each in (path, Path(WORK_DIRECTORY, path)):  # where a session is before it has run code
        with suppress(OSError, UnicodeDecodeError):
            return each.read_text("utf-8-sig")[:_MAX_FILE_CHARACTERS]
    raise ValueError(f"could not open the file of requirements {str(path)!r}")


def _make(shell: Any) -> None:
    """Put the programs where code finds them first."""
    if state.directory is not None and state.directory.is_dir():
        return
    state.directory = directory = Path(tempfile.mkdtemp(prefix="pip-"))
    program = directory / "pip.py"
    program.write_text(_PROGRAM, encoding="utf-8")
    for name in _NAMES:
        words = {"python": shlex.quote(sys.executable), "program": shlex.quote(str(program))}
        _write_program(directory / name, _COMMAND.format(name=name, **words))
    _write_program(directory / "sudo", _SUDO)
    _put("PATH", str(directory), first=True)
    _put("PYTHONPATH", str(directory), first=True)
    if shell is not None:
        # ``!pip`` works as well as ``%pip`` here.
        warnings.filterwarnings("ignore", message="You executed the system command !pip")
        for name in ("pip", "uv", "conda", "mamba"):
            shell.register_magic_function(_magic(shell, name), "line", name)


def _magic(shell: Any, name: str) -> Any:
    def magic(line: str) -> None:
        shell.system(f"{name} {line}")

    return magic


def _write_answers() -> None:
    if state.directory is not None:
        told = {"answers": state.answers, "otherwise": state.otherwise}
        (state.directory / "answers.json").write_text(json.dumps(told), encoding="utf-8")


def _write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _put(variable: str, directory: str, *, first: bool) -> None:
    known = os.environ.get(variable) or (os.defpath if variable == "PATH" else "")
    each = (directory, known) if first else (known, directory)
    os.environ[variable] = os.pathsep.join(filter(None, each))


def _shell() -> Any:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()
