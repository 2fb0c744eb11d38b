"""``pip`` inside a session without a network: asks who holds the session, and imports what comes.

The request goes over the kernel's own connection while code runs, and the answer names a directory
that is there already, outside of the session's reach to write. ``%pip`` asks directly; whatever
code starts finds commands that do (``pip_commands``).
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import site
import subprocess  # noqa: TID251 -- whatever starts programs in a session is watched here
import sys
import tempfile
import threading
import warnings
from functools import wraps
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .message_framing import Frame, FrameDecoder, encode
from .pip_arguments import arguments_of, wanted_of
from .pip_commands import PipCommands
from .pip_listing import COMMANDS, listed, name_of, normalized
from .wheel_files import read_wheel, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOREVER = -1
"""A descriptor that never is readable, for ``select.poll``."""


_HELP = "install, list, freeze, show and check"
_NOT_REMOVED = (
    "ERROR: packages are not removed from a session. A new one (restart_session) begins without "
    "those that were installed in this one.\n"
)


class Connection(Protocol):
    """What carries questions to whoever holds the session."""

    def send(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def receive(self) -> bytes:
        """What has come; empty when the other end is closed."""
        ...

    def wait(self, ended: int) -> bool:
        """Wait until something has come. False if the descriptor ``ended`` was readable first."""
        ...


class PackageClient:
    """Asks for packages on behalf of one session's code."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._decoder = FrameDecoder()
        self._lock = threading.Lock()
        self._asked = 0
        self._process = os.getpid()
        self._commands: PipCommands | None = None

    def begin(self, shell: Any) -> None:
        """Take over the commands by which people install packages."""
        # ``!pip`` works as well as ``%pip`` here.
        warnings.filterwarnings("ignore", message="You executed the system command !pip")
        for name in ("pip", "uv", "conda", "mamba", "micromamba"):
            shell.register_magic_function(_magic(self, name), "line", name)
        if not hasattr(os, "fork"):
            return  # in WebAssembly, where code starts no programs
        directory = Path(tempfile.gettempdir(), ".pip")
        self._commands = commands = PipCommands(directory, self.run)
        subprocess.Popen.__init__ = _answering(subprocess.Popen.__init__, commands)
        os.system = _answering(os.system, commands)  # pyright: ignore[reportDeprecated] -- code uses it

    def go_on_here(self) -> None:
        """Take this process, a copy of the one before, for the one that asks."""
        self._process = os.getpid()
        if self._commands is not None:
            self._commands.go_on_here()

    def end(self) -> None:
        """Say that the code has ended: nobody answers any more."""
        if self._commands is not None:
            self._commands.end()

    def run(
        self, words: Sequence[str], directory: str = ".", ended: int = FOREVER
    ) -> tuple[str, int]:
        """What a command about packages prints, and its exit code.

        Args:
            words: the command's.
            directory: which its paths are relative to.
            ended: a descriptor that is readable once nobody waits for it any more.
        """
        arguments = arguments_of(words)
        if arguments is None:
            return f"ERROR: {shlex.join(words)} is not available in this session.\n", 1
        if not arguments or arguments[0] in {"-V", "--version", "help", "--help", "-h"}:
            return f"pip of this session: {_HELP}\n", 0
        command, *rest = arguments
        if command == "install":
            return self._install(rest, directory, ended)
        if command in COMMANDS:
            return listed(command, rest)
        if command in {"uninstall", "remove"}:
            return _NOT_REMOVED, 1
        return f"ERROR: pip {command} is not available here; there is {_HELP}.\n", 1

    def _install(self, arguments: Sequence[str], directory: str, ended: int) -> tuple[str, int]:
        try:
            wanted = wanted_of(arguments, directory, _read)
            wheels = [read_wheel(path) for path in wanted.wheels]
            requirements, lines = _divided(wanted.requirements)
            if wanted.needs_dependencies:
                own = {normalized(wheel.name) for wheel in wheels}
                needed = (each for wheel in wheels for each in wheel.requires)
                requirements += [each for each in needed if normalized(name_of(each)) not in own]
            if requirements or not (wheels or lines):
                answer = self._ask({"ask": "install", "requirements": requirements}, ended)
                if "error" in answer:
                    return f"ERROR: {answer['error']}\n", 1
                present = answer.get("present", [])
                lines += [f"Requirement already satisfied: {each}" for each in present]
                paths = [str(each) for each in answer.get("paths", ())]
                add(*paths)
                if self._commands is not None:
                    self._commands.add(paths)
                installed = answer.get("installed", [])
                if installed:
                    lines.append(f"Successfully installed {' '.join(installed)}")
                lines += [
                    f"Ignoring {each}: it is not for this interpreter"
                    for each in requirements
                    if ";" in each and not _is_among(each, (*present, *installed))
                ]
            for wheel in wheels:
                unpack(wheel, Path(os.environ["PIP_TARGET"]))
                lines.append(f"Successfully installed {wheel.name}-{wheel.version}")
            importlib.invalidate_caches()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            return f"ERROR: {error}\n", 1
        return "".join(f"{line}\n" for line in lines), 0

    def _ask(self, question: dict[str, object], ended: int) -> dict[str, Any]:
        if os.getpid() != self._process:
            return {"error": "packages are installed by the session itself: use %pip install."}
        with self._lock:
            self._asked += 1
            self._connection.send(encode(Frame({**question, "number": self._asked})))
            while self._connection.wait(ended) and (data := self._connection.receive()):
                for frame in self._decoder.feed(data):
                    # One that comes late belongs to a question that was interrupted.
                    if frame.header.get("number") == self._asked:
                        return dict(frame.header)
        return {"error": "the code that waited for it has ended."}


def add(*directories: str) -> None:
    """Let this process, and those that it starts, import what is in directories."""
    for directory in directories:
        if directory not in sys.path:
            sys.path.insert(_end_of_packages(), directory)
            known = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = f"{known}{os.pathsep}{directory}" if known else directory
            os.environ["PATH"] = f"{os.environ.get('PATH', '')}{os.pathsep}{directory}/bin"
    importlib.invalidate_caches()


def _end_of_packages() -> int:
    """Behind what was there before, and before what modules and code have added."""
    known = {*site.getsitepackages(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    places = [at for at, directory in enumerate(sys.path) if directory in known]
    return places[-1] + 1 if places else len(sys.path)


def _divided(requirements: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is to be asked for, and a line for each that is there and is wanted in any version."""
    left: list[str] = []
    lines: list[str] = []
    for each in requirements:
        found = _version_of(each)
        if found is None:
            left.append(each)
        else:
            lines.append(f"Requirement already satisfied: {each}{found and f' ({found})'}")
    return left, lines


def _is_among(requirement: str, packages: Sequence[str]) -> bool:
    """Whether a package is one of those, which have versions behind their names."""
    name = normalized(name_of(requirement))
    return any(re.match(rf"{re.escape(name)}[ -]", normalized(each)) for each in packages)


def _version_of(name: str) -> str | None:
    if name in {"pip", "uv"}:
        return ""  # the commands are the session's own
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig")


def _magic(client: PackageClient, name: str) -> Callable[[str], None]:
    def magic(line: str) -> None:
        words = takewhile(lambda word: not word.startswith("#"), shlex.split(line))
        text, code = client.run([name, *words])  # a comment, as a shell would leave it out
        print(text, end="", file=sys.stderr if code else sys.stdout)

    return magic


def _answering(start: Callable[..., Any], commands: PipCommands) -> Callable[..., Any]:
    @wraps(start)
    def begin(*args: Any, **named: Any) -> Any:
        commands.answer()
        return start(*args, **named)

    return begin
