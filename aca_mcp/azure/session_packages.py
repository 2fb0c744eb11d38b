"""Packages for sessions that may have no network: fetched here, uploaded, unpacked there.

The session asks no index. What the commands of a cell want (``pip_in_session``) is fetched before
the cell is sent, and they print what came of it.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
import re
import secrets
import tempfile
import time
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from aca_mcp.azure.api_versions import MAX_FILE_BYTES
from aca_mcp.azure.code_wrapping import PREFIX
from aca_mcp.azure.sent_modules import SentModule, sent_module
from aca_mcp.errors import PackagesNotInstalledError, PoolUnavailableError, SessionPoolError
from aca_mcp.packages.request_limits import PackageRequests
from aca_mcp.pool import Package
from aca_mcp.turn import Waited
from aca_mcp.uploads import chunks_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aca_mcp.azure.files import Files
    from aca_mcp.azure.known_sessions import KnownSession
    from aca_mcp.azure.remote_interpreter import RemoteInterpreter
    from aca_mcp.azure.shell import Shell
    from aca_mcp.installing.wheels import Target
    from aca_mcp.packages.broker import PackageBroker, PackageSet
    from aca_mcp.pool import Installation

_logger = logging.getLogger(__name__)

_ARCHIVE_BYTES = MAX_FILE_BYTES * 3 // 4
"""After which another archive is begun: the next file may not be small."""
_MAX_TOLD_BYTES = 4 * 2**20
_MAX_ERROR_CHARACTERS = 500
_MAX_COMMANDS = 20
_MAX_MODULES = 10
_COMMAND = re.compile(r"\b(pip|uv|conda|mamba)")
_LATE = (
    "What a cell installs is fetched before it runs, and this command was not seen in its text. "
    "Nothing was installed. Name the packages in a line of the cell: %pip install NAME"
)


class NotToldError(PoolUnavailableError):
    """A session did not answer a question about its packages in words of our module."""

    def __init__(self) -> None:
        super().__init__(
            "The session did not tell its interpreter and packages. Ask it with code: "
            "importlib.metadata."
        )


class SessionPackages:
    """What sessions of one pool may install. Callers see to it that a session has its turn.

    Args:
        broker: makes what fetches packages; None where none may be installed.
        files: of the sessions.
        interpreter: of the sessions.
    """

    def __init__(
        self,
        broker: Callable[[], PackageBroker] | None,
        files: Files,
        interpreter: RemoteInterpreter,
    ) -> None:
        self._broker = broker
        self._files = files
        self._interpreter = interpreter
        self._requests = PackageRequests()

    async def install(self, identifier: str, requirements: Sequence[str]) -> Installation:
        """Let a session import further packages.

        Raises:
            PackagesNotInstalledError: they are not permitted, or cannot be had.
        """
        began = time.monotonic()
        made = await self._fetch(identifier, requirements, {})
        archives = await self._upload(identifier, made.directory)
        if archives and await self._ask(identifier, f"bring({archives!a})") is not True:
            raise PackagesNotInstalledError(
                "The packages were uploaded, and the session could not unpack them: its disk may "
                "be full. Nothing was installed."
            )
        return replace(made, duration_seconds=time.monotonic() - began)

    async def prepare(self, identifier: str, code: str) -> None:
        """Have what a cell's commands want ready before it runs, and what they are to print.

        Where the session does not tell, the cell meets its own ``pip``.
        """
        if "install" not in code or _COMMAND.search(code) is None:
            return
        try:
            otherwise = f"ERROR: {_LATE if self._broker is not None else _no_packages()}\n"
            asked = _read_commands(await self._ask(identifier, f"look({code!a}, {otherwise!a})"))
            known: dict[str, _Facts] = {}
            for arguments, wanted in asked:
                await self._settle(identifier, arguments, wanted, known)
        except SessionPoolError as error:
            # What ails the session or the pool, the code itself will meet, and say.
            _logger.info("A cell's packages were not looked for: %s", type(error).__name__)

    async def _settle(
        self,
        identifier: str,
        arguments: list[str],
        wanted: Mapping[str, object],
        known: dict[str, _Facts],
    ) -> None:
        made: PackageSet | None = None
        archives: list[str] = []
        answer: tuple[str, int] | None = None  # of the session's own pip, which sees its files
        if wanted.get("has_wheels") is not True:
            try:
                made = await self._fetch(identifier, _requirements_of(wanted), known)
                archives = await self._upload(identifier, made.directory)
                answer = _told_of(made), 0
            except (PackagesNotInstalledError, ValueError) as error:
                answer = f"ERROR: {error}\n", 1
        unpacked = await self._ask(identifier, f"settle({archives!a}, {arguments!a}, {answer!a})")
        if made is not None and unpacked is True:
            known[identifier].installed.update((each.name, each.version) for each in made.installed)

    async def _fetch(
        self, identifier: str, requirements: Sequence[str], known: dict[str, _Facts]
    ) -> PackageSet:
        """What a session does not have of packages and of what they need, fetched to here.

        Args:
            identifier: the session's.
            requirements: what is asked for.
            known: what the session has told since it has its turn; it is asked once.
        """
        if self._broker is None:
            self._requests.refuse(identifier, requirements)
        if identifier not in known:
            known[identifier] = _read_facts(await self._ask(identifier, "facts()"))
        facts = known[identifier]
        return await self._broker().provide(
            requirements, facts.target, installed=facts.installed, who=identifier
        )

    async def _upload(self, identifier: str, directory: Path | None) -> list[str]:
        """Bring a directory's files to a session, as archives in its work directory."""
        if directory is None:
            return []
        with tempfile.TemporaryDirectory(prefix="aca-mcp-upload-") as scratch:
            archives = await anyio.to_thread.run_sync(pack, directory, Path(scratch))
            for archive in archives:
                await self._files.upload(
                    identifier, archive.name, chunks_of(archive), overwrite=True
                )
        return [archive.name for archive in archives]

    async def _ask(self, identifier: str, call: str) -> object:
        return await ask_session(self._interpreter, identifier, call)


async def ask_session(interpreter: RemoteInterpreter | Shell, identifier: str, call: str) -> object:
    """What a call of our module for packages gives in a session.

    Raises:
        NotToldError: it is nothing that the module can have given.
        SessionPoolError: it could not be asked.
    """
    module = _module()
    expression = f"({module.load}, {module.loaded}.{call})[1]"
    told = await interpreter.evaluate(identifier, expression)
    text = told.strip("'\"") if isinstance(told, str) else ""
    try:
        decompressor = zlib.decompressobj()
        packed = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        return json.loads(decompressor.decompress(packed, _MAX_TOLD_BYTES))
    except (ValueError, RecursionError, zlib.error) as error:
        raise NotToldError from error


async def list_packages(
    identifier: str,
    known: KnownSession,
    of_pool: Callable[[], Awaitable[tuple[Package, ...]]],
    interpreter: RemoteInterpreter | Shell,
) -> tuple[Package, ...]:
    """What a session can import, sorted by name. Does not wait for code that runs.

    The session itself is asked: it alone knows by which names packages are imported.

    Args:
        identifier: the session's.
        known: of it.
        of_pool: tells what each new session has, as far as the service says.
        interpreter: asks the session.

    Raises:
        PoolUnavailableError: code runs, and nothing is known; or nobody tells.
    """
    if known.turn.is_taken:
        return known.packages or await _of_busy(of_pool)
    async with known.turn.take(anyio.current_time()) as waited:
        if waited is Waited.TOO_LATE:
            return known.packages or await _of_busy(of_pool)
        try:
            told = await ask_session(interpreter, identifier, "packages()")
            known.packages = _packages(told)
        except NotToldError:
            if found := await of_pool():
                return found
            raise
    return known.packages


async def _of_busy(of_pool: Callable[[], Awaitable[tuple[Package, ...]]]) -> tuple[Package, ...]:
    if found := await of_pool():
        return found
    raise PoolUnavailableError(
        "Code of this session runs, and the pool itself does not tell which packages there are. "
        "Ask again when it has ended, or import what you need and see."
    )


@functools.cache
def _module() -> SentModule:
    return sent_module(
        "aca_mcp.azure.pip_in_session",
        [
            "aca_mcp.kernel.pip_arguments",
            "aca_mcp.kernel.distributions",
            "aca_mcp.azure.pip_in_code",
        ],
    )


def _no_packages() -> str:
    from aca_mcp.packages.requirements import NO_PACKAGES

    return NO_PACKAGES


def _packages(told: object) -> tuple[Package, ...]:
    try:
        found = [
            Package(str(name), str(version), tuple(map(str, modules[:_MAX_MODULES])))
            for name, version, modules in cast("list[tuple[object, object, list[object]]]", told)
        ]
    except (ValueError, TypeError) as error:
        raise NotToldError from error
    return tuple(sorted(found, key=lambda package: package.name.lower()))


def _read_commands(told: object) -> list[tuple[list[str], dict[str, object]]]:
    """The commands that a session tells. It is hostile, and can but ask what its code could ask.

    Raises:
        NotToldError: it tells none.
    """
    try:
        found = [
            ([str(each) for each in arguments], {str(key): wanted[key] for key in wanted})
            for arguments, wanted in cast("list[tuple[list[object], dict[str, object]]]", told)[
                :_MAX_COMMANDS
            ]
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise NotToldError from error
    return found


def _requirements_of(wanted: Mapping[str, object]) -> list[str]:
    """What a command asks for.

    Raises:
        ValueError: it cannot be read. The message says why, in the session's words.
    """
    requirements = wanted.get("requirements")
    if not isinstance(requirements, list):
        raise ValueError(str(wanted.get("error"))[:_MAX_ERROR_CHARACTERS])
    return [str(each) for each in cast("list[object]", requirements)]


def _told_of(made: PackageSet) -> str:
    """What a command prints that went well."""
    lines = [
        f"Requirement already satisfied: {each.name} ({each.version})" for each in made.present
    ]
    if made.installed:
        new = " ".join(f"{each.name}-{each.version}" for each in made.installed)
        lines.append(f"Successfully installed {new}")
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class _Facts:
    target: Target
    installed: dict[str, str]


def _read_facts(told: object) -> _Facts:
    """The session's interpreter, and what it has. It is hostile, and can but spoil its own."""
    from packaging.utils import canonicalize_name

    from aca_mcp.installing.wheels import Target

    try:
        version, machine, packages = cast("tuple[list[int], str, list[list[str]]]", told)
        major, minor = (int(part) for part in version)
        if re.fullmatch(r"x86_64|aarch64", str(machine)) is None:
            raise ValueError("no machine of which wheels are known")
        installed: dict[str, str] = {
            canonicalize_name(str(name)): str(found) for name, found in packages
        }
    except (ValueError, TypeError) as error:
        raise PackagesNotInstalledError(
            "The session did not tell its interpreter. Nothing was installed."
        ) from error
    checked = {
        name: found
        for name, found in installed.items()
        if re.fullmatch(r"[a-z0-9-]{1,100}", name) and re.fullmatch(r"[\w.+!-]{1,60}", found)
    }
    return _Facts(Target(python_version=f"{major}.{minor}", machine=str(machine)), checked)


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
