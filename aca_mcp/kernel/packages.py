"""``pip`` inside a session without a network: asks who holds the session, and imports what comes.

The request goes over the kernel's own connection while code runs, and the answer names a directory
that is there already, outside of the session's reach to write. ``%pip``, ``!pip``, ``!uv pip`` and
programs that code starts with ``python -m pip install`` all come here: the command is replaced by
one that prints what came of it.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess  # noqa: TID251 -- whatever starts programs in a session is watched here
import sys
import threading
import warnings
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from .frames import Frame, FrameDecoder, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PIP = re.compile(r"pip[\d.]*$")
_PYTHON = re.compile(r"python[\d.]*$")
_BETWEEN = re.compile(r"(&&|\|\||;|\n|\||(?<![>&])&(?![>&\d]))")
_REDIRECTION = re.compile(r"\s(\d*|&)[<>]")
_IGNORED = re.compile(
    r"-(q+|v+|U|y|I)$|--(quiet|verbose|upgrade|user|no-cache-dir|no-cache|no-input|yes|system|"
    r"disable-pip-version-check|break-system-packages|no-warn-script-location|force-reinstall|"
    r"prefer-binary|only-binary(=.*)?|root-user-action(=.*)?|progress-bar(=.*)?|no-progress|"
    r"upgrade-strategy(=.*)?)$"
)
_WITH_VALUE = re.compile(r"--(root-user-action|progress-bar|upgrade-strategy|only-binary)$")
_REPLAY = """\
import sys
text, code = sys.argv[1:]
(sys.stderr if int(code) else sys.stdout).write(text)
sys.exit(int(code))
"""


class Connection(Protocol):
    """What carries questions to whoever holds the session."""

    def send(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def receive(self) -> bytes:
        """What has come; empty when the other end is closed."""
        ...


class PackageClient:
    """Asks for packages on behalf of one session's code."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._decoder = FrameDecoder()
        self._lock = threading.Lock()
        self._asked = 0
        self._process = os.getpid()

    def begin(self, shell: Any) -> None:
        """Take over the commands by which people install packages."""
        # ``!pip`` works as well as ``%pip`` here.
        warnings.filterwarnings("ignore", message="You executed the system command !pip")
        for name in ("pip", "uv", "conda", "mamba"):
            shell.register_magic_function(_magic(self), "line", name)
        subprocess.Popen.__init__ = _rewriting(subprocess.Popen.__init__, self)
        os.system = _rewriting_system(os.system, self)  # pyright: ignore[reportDeprecated] -- code uses it

    def run(self, words: Sequence[str]) -> tuple[str, int]:
        """What a command about packages prints, and its exit code."""
        arguments = arguments_of(words)
        if arguments is None:
            return f"ERROR: {shlex.join(words)} is not available in this session.\n", 1
        if not arguments or arguments[0] in {"-V", "--version", "help", "--help", "-h"}:
            return "pip of this session: install, list, freeze, show\n", 0
        command, *rest = arguments
        if command == "install":
            return self._install(rest)
        if command in {"list", "freeze", "show"}:
            return _listed(command, rest), 0
        return f"ERROR: pip {command} is not available here; there is install, list and show.\n", 1

    def _install(self, arguments: Sequence[str]) -> tuple[str, int]:
        try:
            requirements = requirements_of(arguments)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            return f"ERROR: {error}\n", 1
        answer = self._ask({"ask": "install", "requirements": requirements})
        if "error" in answer:
            return f"ERROR: {answer['error']}\n", 1
        lines = [f"Requirement already satisfied: {each}" for each in answer.get("present", [])]
        if answer.get("path"):
            add(str(answer["path"]))
            lines.append(f"Successfully installed {' '.join(answer.get('installed', []))}")
        return "".join(f"{line}\n" for line in lines), 0

    def _ask(self, question: dict[str, object]) -> dict[str, Any]:
        if os.getpid() != self._process:
            return {"error": "packages are installed by the session itself: use %pip install."}
        with self._lock:
            self._asked += 1
            self._connection.send(encode(Frame({**question, "number": self._asked})))
            while data := self._connection.receive():
                for frame in self._decoder.feed(data):
                    # One that comes late belongs to a question that was interrupted.
                    if frame.header.get("number") == self._asked:
                        return dict(frame.header)
        return {"error": "the session is ending."}

    def rewritten(self, args: Any, *, shell: bool) -> Any:
        """A command to be started, with what installs packages done and replaced by its output."""
        if isinstance(args, (str, bytes)):
            return self.rewritten_line(os.fsdecode(args)) if shell else args
        if isinstance(args, os.PathLike):
            return cast("object", args)
        words = [os.fsdecode(word) for word in args]
        if shell and words:
            return [self.rewritten_line(words[0]), *words[1:]]
        return self._replay(words) if arguments_of(words) is not None else args

    def rewritten_line(self, line: str) -> str:
        """The same for a line of shell."""
        if "pip" not in line:
            return line
        return "".join(
            part if index % 2 else self._rewritten_command(part)
            for index, part in enumerate(_BETWEEN.split(line))
        )

    def _rewritten_command(self, command: str) -> str:
        redirection = _REDIRECTION.search(command)
        end = redirection.start() if redirection else len(command)
        try:
            words = shlex.split(command[:end])
        except ValueError:
            return command
        if arguments_of(words) is None:
            return command
        return f" {shlex.join(self._replay(words))} {command[end:]}"

    def _replay(self, words: Sequence[str]) -> list[str]:
        text, code = self.run(words)
        return [sys.executable, "-I", "-S", "-c", _REPLAY, text, str(code)]


def add(directory: str) -> None:
    """Let this process, and those that it starts, import what is in a directory."""
    if directory not in sys.path:
        sys.path.append(directory)
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{known}{os.pathsep}{directory}" if known else directory
        os.environ["PATH"] = f"{os.environ.get('PATH', '')}{os.pathsep}{directory}/bin"
    importlib.invalidate_caches()


def arguments_of(words: Sequence[str]) -> list[str] | None:
    """What is said to pip by a command, or None if it says nothing to pip."""
    left = list(words)
    while left and (left[0] in {"sudo", "time"} or re.match(r"\w+=", left[0])):
        left.pop(0)
    if not left:
        return None
    program = os.path.basename(left[0])  # noqa: PTH119 -- a word, perhaps no path
    if _PIP.match(program):
        return left[1:]
    if program == "uv" and left[1:2] == ["pip"]:
        return left[2:]
    if _PYTHON.match(program):
        for position, word in enumerate(left[1:], 1):
            if word == "-m":
                return (
                    left[position + 2 :] if left[position + 1 : position + 2] == ["pip"] else None
                )
            if not word.startswith("-"):
                return None
    return None


def requirements_of(arguments: Sequence[str]) -> list[str]:
    """The requirements among the arguments of ``pip install``.

    Raises:
        ValueError: one is an option that cannot be heeded.
        OSError: a file of requirements cannot be read.
    """
    found: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word in {"-r", "--requirement"} and left:
            lines = Path(left.pop(0)).read_text(encoding="utf-8").splitlines()
            stripped = (line.partition(" #")[0].strip() for line in lines)
            found += [line for line in stripped if line and not line.startswith("#")]
        elif _WITH_VALUE.match(word):
            left[:1] = []
        elif not _IGNORED.match(word):
            if word.startswith("-"):
                raise ValueError(
                    f"the option {word} is not available here: packages come by name, from the "
                    "index that the server is configured for."
                )
            found.append(word)
    return found


def _listed(command: str, names: Sequence[str]) -> str:
    found = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    between = "==" if command == "freeze" else " "
    return "".join(
        f"{name}{between}{version}\n"
        for name, version in sorted(found.items(), key=lambda item: str(item[0]).lower())
        if name and (command != "show" or re.sub(r"[-_.]+", "-", name).lower() in wanted)
    )


def _magic(client: PackageClient) -> Callable[[str], None]:
    def magic(line: str) -> None:
        words = shlex.split(line)
        if words[:1] == ["pip"]:  # %uv pip install
            words = words[1:]
        text, code = client.run(["pip", *words])
        print(text, end="", file=sys.stderr if code else sys.stdout)

    return magic


def _rewriting(start: Callable[..., None], client: PackageClient) -> Callable[..., None]:
    @wraps(start)
    def begin(self: object, args: Any, *rest: Any, **named: Any) -> None:
        shell = bool(named.get("shell", rest[7] if len(rest) > 7 else False))
        start(self, client.rewritten(args, shell=shell), *rest, **named)

    return begin


def _rewriting_system(system: Callable[[Any], int], client: PackageClient) -> Callable[[Any], int]:
    @wraps(system)
    def begin(command: Any) -> int:
        return system(client.rewritten_line(os.fsdecode(command)))

    return begin
