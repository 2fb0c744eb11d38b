"""Packages for sessions that may have no network: fetched here, uploaded, unpacked there.

The session asks no index and needs no pip. Code that says ``%pip install`` gets the same, and so
does a line of a ``%%bash`` cell: it is answered before the code is sent, and replaced by what came
of it. Programs that code starts have the session's own pip, which a pool without a network leaves
alone with itself.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from aca_mcp.azure.api import MAX_FILE_BYTES
from aca_mcp.errors import PackagesNotInstalledError, SessionPoolError
from aca_mcp.kernel.pip_arguments import Wanted, arguments_of, wanted_of
from aca_mcp.pool import WORK_DIRECTORY, Installation, Package
from aca_mcp.uploads import chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aca_mcp.azure.files import Files
    from aca_mcp.azure.interpreter import Interpreter
    from aca_mcp.installing.wheels import Target
    from aca_mcp.packages.broker import PackageBroker

_ARCHIVE_BYTES = MAX_FILE_BYTES * 3 // 4
"""After which another archive is begun: the next file may not be small."""
_WORDS = r"(?:uv|pip|pip3|python|python3)\b.*\binstall\b"
_COMMAND = re.compile(rf"^([ \t]*)[%!][ \t]*({_WORDS}.*)$", re.MULTILINE)
_SHELL_CELL = re.compile(r"\s*%%(?:bash|sh|script[ \t]+(?:\S*/)?(?:ba)?sh)\b")
_SHELL_COMMAND = re.compile(rf"^([ \t]*)((?:sudo[ \t]+)?{_WORDS}[^;&|<>\n]*)$", re.MULTILINE)
_MAX_FILE_CHARACTERS = 100_000

_FACTS = (
    '__import__("json").dumps([list(__import__("sys").version_info[:2]), '
    '__import__("platform").machine(), sorted({(d.metadata["Name"] or "", d.version or "") '
    'for d in __import__("importlib.metadata").metadata.distributions()})])'
)
_READ = (
    '(lambda path: "file:" + path.read_text("utf-8-sig")[:{most}].encode().hex() '
    'if path.is_file() else "none")(__import__("pathlib").Path({name!r}))'
)
_UNPACK = """\
import importlib, os, sys, tempfile, zipfile
there = tempfile.mkdtemp(prefix="packages-")
for name in {names!r}:
    archive = os.path.join({directory!r}, name)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(there)
    os.unlink(archive)
sys.path.append(there)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), there)))
importlib.invalidate_caches()
"""


class SessionPackages:
    """What sessions of one pool may install. Callers see to it that a session has its turn.

    Args:
        broker: makes what fetches packages; None where none may be installed.
        files: of the sessions.
        interpreter: of the sessions.
    """

    def __init__(
        self, broker: Callable[[], PackageBroker] | None, files: Files, interpreter: Interpreter
    ) -> None:
        self._broker = broker
        self._files = files
        self._interpreter = interpreter

    async def install(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """Let a session import further packages.

        Raises:
            PackagesNotInstalledError: they are not permitted, or cannot be had.
        """
        # Only here: nobody who installs nothing should wait for these imports.
        from aca_mcp.packages.requirements import Policy, check_requirements

        began = time.monotonic()
        broker = self._broker() if self._broker is not None else None
        check_requirements(requirements, broker.policy if broker is not None else Policy())
        if broker is None:
            raise PackagesNotInstalledError("Packages cannot be installed here.")
        target, installed = _read_facts(await self._interpreter.evaluate(identifier, _FACTS))
        made = await broker.provide(requirements, target, installed=installed, who=identifier)
        if made.directory is not None:
            await self._bring(identifier, made.directory)
        return Installation(
            installed=tuple(Package(pin.name, pin.version) for pin in made.installed),
            present=tuple(Package(pin.name, pin.version) for pin in made.present),
            size_bytes=made.size_bytes,
            duration_seconds=time.monotonic() - began,
        )

    async def _bring(self, identifier: str, directory: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="aca-mcp-upload-") as scratch:
            archives = await anyio.to_thread.run_sync(pack, directory, Path(scratch))
            for archive in archives:
                await self._files.upload(
                    identifier, archive.name, chunks_of(archive), overwrite=True
                )
        names = [archive.name for archive in archives]
        code = _UNPACK.format(names=names, directory=WORK_DIRECTORY)
        done = await self._interpreter.evaluate(
            identifier, f"(exec({code!r}, {{}}), 'unpacked')[1]"
        )
        if "unpacked" not in str(done):
            raise PackagesNotInstalledError(
                "The packages were uploaded, and the session could not unpack them: its disk may "
                "be full. Nothing was installed."
            )

    async def prepared(self, identifier: str, code: str) -> str:
        """Code whose commands that install packages are done and replaced by what they print."""
        if self._broker is None or "install" not in code:
            return code
        in_shell = _SHELL_CELL.match(code) is not None
        pieces: list[str] = []
        end = 0
        for match in (_SHELL_COMMAND if in_shell else _COMMAND).finditer(code):
            pieces.append(code[end : match.start()])
            text, went_well = await self._answer(identifier, match.group(2))
            if text is None:
                pieces.append(match.group())
            elif in_shell:
                told = f"printf '%s\\n' {shlex.quote(text)}"
                pieces.append(match.group(1) + (told if went_well else f"{{ {told} >&2; false; }}"))
            else:
                pieces.append(f"{match.group(1)}print({text!r})")
            end = match.end()
        return "".join((*pieces, code[end:]))

    async def _answer(self, identifier: str, command: str) -> tuple[str | None, bool]:
        """What a command prints, or None if it is left to the session; and whether it went well."""
        try:
            arguments = arguments_of(shlex.split(command, comments=True)) or []
            if arguments[:1] != ["install"]:
                return None, True
            wanted = await self._wanted(identifier, arguments[1:])
            if wanted.wheels:
                return None, True  # which the session's own pip can see
            made = await self.install(identifier, wanted.requirements)
        except (SessionPoolError, ValueError) as error:
            return f"ERROR: {error}", False
        lines = [
            f"Requirement already satisfied: {each.name} ({each.version})" for each in made.present
        ]
        if made.installed:
            new = " ".join(f"{each.name}-{each.version}" for each in made.installed)
            lines.append(f"Successfully installed {new}")
        return "\n".join(lines), True

    async def _wanted(self, identifier: str, arguments: Sequence[str]) -> Wanted:
        """What is asked for, with what files of the session say; none of this machine is read."""
        known: dict[str, str] = {}
        while True:
            try:
                return wanted_of(arguments, "", lambda path: known[str(path)])
            except KeyError as missing:
                name = str(missing.args[0])
                known[name] = await self._text_of(identifier, name)

    async def _text_of(self, identifier: str, name: str) -> str:
        """The text of a file of requirements, as the session's own code finds it.

        Raises:
            ValueError: there is none.
        """
        read = _READ.format(name=name, most=_MAX_FILE_CHARACTERS)
        found = str(await self._interpreter.evaluate(identifier, read)).strip("'")
        kind, _, encoded = found.partition(":")
        if kind != "file":
            raise ValueError(f"could not open the file of requirements {name!r}")
        return bytes.fromhex(encoded).decode("utf-8")


def _read_facts(value: object) -> tuple[Target, dict[str, str]]:
    """The session's interpreter, and what it has. It is hostile, and can but spoil its own."""
    from aca_mcp.installing.wheels import Target, normalized

    try:
        items: object = json.loads(value.strip("'")) if isinstance(value, str) else value
        version, machine, packages = cast("tuple[list[int], str, list[list[str]]]", items)
        major, minor = (int(part) for part in version)
        if re.fullmatch(r"x86_64|aarch64", str(machine)) is None:
            raise ValueError("no machine of which wheels are known")
        installed = {normalized(str(name)): str(found) for name, found in packages if name}
    except (ValueError, TypeError) as error:
        raise PackagesNotInstalledError(
            "The session did not tell its interpreter. Nothing was installed."
        ) from error
    checked = {
        name: found
        for name, found in installed.items()
        if re.fullmatch(r"[a-z0-9-]{1,100}", name) and re.fullmatch(r"[\w.+!-]{1,60}", found)
    }
    return Target(python_version=f"{major}.{minor}", machine=str(machine)), checked


def pack(directory: Path, into: Path, most_bytes: int = _ARCHIVE_BYTES) -> list[Path]:
    """Archives of a directory's files.

    Args:
        directory: of regular files.
        into: where archives are made.
        most_bytes: after which another one is begun.
    """
    made: list[Path] = []
    archive: zipfile.ZipFile | None = None
    for file in sorted(each for each in directory.rglob("*") if each.is_file()):
        if archive is None:
            made.append(into / f"packages-{secrets.token_hex(8)}.zip")
            archive = zipfile.ZipFile(made[-1], "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        archive.write(file, file.relative_to(directory))
        if made[-1].stat().st_size > most_bytes:
            archive.close()
            archive = None
    if archive is not None:
        archive.close()
    return made
