"""Commands called ``pip`` for whatever code starts: shells and their scripts, ``%%bash``, programs.

They lie in a directory at the front of ``PATH``, and ask the session's process by a FIFO, for
Unix sockets are not to be had everywhere. A thread answers them, from the first program that code
starts to the end of that code: between executions there is neither thread nor open file, for a
process with either has no checkpoint.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[[Sequence[str], str, int], tuple[str, int]]

_NAMES = (
    *("pip", "pip3", f"pip3.{sys.version_info.minor}"),
    *("uv", "conda", "mamba", "micromamba"),
)
_MAX_TEXT = 100_000
_READ_BYTES = 64 * 1024
_END_SECONDS = 5

_COMMAND = '#!/bin/sh\nexec {python} -IS {program} {directory} {name} "$@"\n'
_SUDO = '#!/bin/sh\nwhile case "$1" in -*) ;; *) false ;; esac; do shift; done\nexec "$@"\n'
_MODULE = """\
import os, sys
if __name__ == "__main__":
    command = [sys.executable, "-IS", {program!r}, {directory!r}, "pip"]
    os.execv(sys.executable, command + sys.argv[1:])
raise ImportError("pip is a command in this session: %pip install")
"""
_ON_START = """\
import os, sys
try:
    with open(os.path.join(os.path.dirname(__file__), "added")) as file:
        sys.path += [each for each in file.read().split("\\n") if each and each not in sys.path]
except OSError:
    pass
"""
_SYSTEM_NAMES = ("apt", "apt-get")
_SYSTEM = (
    '#!/bin/sh\necho "E: programs of the system cannot be installed in a session. Python packages '
    'can: pip install NAME" >&2\nexit 100\n'
)


class PipCommands:
    """The directory, and the thread that answers."""

    def __init__(self, directory: Path, run: Run) -> None:
        """Let programs that are started from now on find the commands, once they are made.

        Args:
            directory: to be made.
            run: gives what a command prints and its exit code; it takes the command's words, the
                directory that it was said in, and a descriptor that is readable once nobody
                waits for it any more.
        """
        self._directory = directory
        self._run = run
        self._process = os.getpid()
        self._answering: _Answering | None = None
        known = os.environ.get("PATH", os.defpath)
        os.environ["PATH"] = os.pathsep.join((str(directory), known, str(directory / "bin")))
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{directory}{os.pathsep}{known}" if known else str(directory)

    def go_on_here(self) -> None:
        """Take this process, a copy of the one before, for the one that answers."""
        self._process = os.getpid()

    def answer(self) -> None:
        """See to it that commands are answered until ``end``: code is about to start a program."""
        if self._answering is None and os.getpid() == self._process:
            with suppress(OSError):  # the disk is full: then there are none
                self._make()
                self._answering = _Answering(self._directory, self._run)

    def add(self, directories: Sequence[str]) -> None:
        """Let what runs already start programs that find packages: its variables stay as they were.

        Args:
            directories: of packages; each may have a directory ``bin`` with programs.
        """
        if self._answering is None:
            return
        with suppress(OSError):
            (self._directory / "added").write_text("\n".join(directories), encoding="utf-8")
            for directory in directories:
                for program in Path(directory, "bin").glob("*"):
                    with suppress(FileExistsError):
                        (self._directory / "bin" / program.name).symlink_to(program)

    def end(self) -> None:
        """Answer no more: the code has ended."""
        answering, self._answering = self._answering, None
        if answering is not None:
            answering.end()

    def _make(self) -> None:
        if self._directory.is_dir():
            return
        self._directory.mkdir(mode=0o700, parents=True)
        program = str(Path(__file__).with_name("pip_program.py"))
        for name in _NAMES:
            words = {"python": sys.executable, "program": program, "directory": self._directory}
            quoted = {key: shlex.quote(str(word)) for key, word in words.items()}
            _write(self._directory / name, _COMMAND.format(**quoted, name=name))
        _write(self._directory / "sudo", _SUDO)
        for name in _SYSTEM_NAMES:
            _write(self._directory / name, _SYSTEM)
        module = _MODULE.format(program=program, directory=str(self._directory))
        (self._directory / "pip.py").write_text(module, encoding="utf-8")
        (self._directory / "sitecustomize.py").write_text(_ON_START, encoding="utf-8")
        (self._directory / "bin").mkdir()
        os.mkfifo(self._directory / "requests", 0o600)


class _Answering:
    def __init__(self, directory: Path, run: Run) -> None:
        self._directory = directory
        self._run = run
        # Open for writing as well, so that it does not end with the first who wrote to it.
        self._requests = os.open(directory / "requests", os.O_RDWR | os.O_NONBLOCK)
        self._ended = os.eventfd(0)
        self._thread = threading.Thread(target=self._answer_all, name="pip", daemon=True)
        self._thread.start()

    def end(self) -> None:
        os.eventfd_write(self._ended, 1)
        self._thread.join(_END_SECONDS)
        os.close(self._requests)
        os.close(self._ended)

    def _answer_all(self) -> None:
        poll = select.poll()
        poll.register(self._requests, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        waiting = b""
        while self._ended not in dict(poll.poll()):
            with suppress(BlockingIOError):
                waiting += os.read(self._requests, _READ_BYTES)
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                # Whatever a program has written there.
                with suppress(OSError, ValueError, KeyError, TypeError):
                    self._answer(cast("dict[str, Any]", json.loads(line)))

    def _answer(self, request: dict[str, Any]) -> None:
        name = f"answer-{int(str(request['answer']).removeprefix('answer-'))}"
        words = [str(word) for word in request["words"]]
        try:
            text, code = self._run(words, str(request["cwd"]), self._ended)
        except (
            Exception
        ) as error:  # whatever a package says of itself: somebody waits for an answer
            text, code = f"ERROR: {type(error).__name__}: {error}\n", 1
        reader = os.open(self._directory / name, os.O_WRONLY | os.O_NONBLOCK)
        poll = select.poll()
        poll.register(reader, select.POLLOUT)
        poll.register(self._ended, select.POLLIN)
        data = json.dumps([text[:_MAX_TEXT], code]).encode() + b"\n"
        try:
            while data and self._ended not in dict(poll.poll()):
                data = data[os.write(reader, data) :]
        finally:
            os.close(reader)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
