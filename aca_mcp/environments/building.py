"""Makes environments: an interpreter of its own, then wheels, then a try, then its name.

Nothing is used before all of that went well, and what was there stays until then. Of the packages
nothing runs but IPython, which is tried.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aca_mcp.environments.definitions import DEFINITIONS, EVERY
from aca_mcp.environments.store import Environment, EnvironmentStore, Record, check_name, now
from aca_mcp.errors import EnvironmentFailedError
from aca_mcp.installing.commands import Installer, InstallerError, find_installer, run
from aca_mcp.installing.interpreters import compile_packages, run_code
from aca_mcp.installing.wheels import Pin, Target, install, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_MAKE_SECONDS = 120
_RESOLVE_SECONDS = 300
_INSTALL_SECONDS = 1800
_COMPILE_SECONDS = 600
_TRY_SECONDS = 120
_VERSION = re.compile(r"3(\.\d{1,2}){0,2}")

_TRY = """\
import sys
if sys.version_info < (3, 11):
    sys.exit(f"it is Python {sys.version.split()[0]}; sessions need 3.11 or newer")
import IPython
print(sys.version.split()[0])
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What an environment is to be."""

    name: str
    requirements: tuple[str, ...]
    """As PEP 508 writes them."""
    python: str = ""
    """A version such as ``3.12``, or a path; empty for the interpreter of this server."""


def request_for(name: str, requirements: Sequence[str], python: str = "") -> Request:
    """What to make under a name: what is asked for, or what the product knows by that name.

    Raises:
        EnvironmentFailedError: neither says what is to be in it.
    """
    check_name(name)
    if not requirements:
        if name not in DEFINITIONS:
            raise EnvironmentFailedError(
                f"Say what is to be in {name!r}: packages, or --requirements FILE. Without them "
                f"there are {' and '.join(DEFINITIONS)}."
            )
        requirements = DEFINITIONS[name].requirements
    return Request(name, tuple(requirements), python)


async def make(
    store: EnvironmentStore,
    request: Request,
    *,
    say: Callable[[str], None],
    index: str = "",
    installer: Installer | None = None,
    shows_progress: bool = False,
) -> Environment:
    """Make an environment, or make it anew. Whoever uses the old one goes on with it.

    Args:
        store: where.
        request: what.
        say: is told what is being done.
        index: the package index, where it is not the one that uv or pip is configured for.
        installer: what makes it, by default the best that is there.
        shows_progress: let the installer draw its bars on this process's stderr.

    Raises:
        EnvironmentFailedError: it could not be made. The message says why.
    """
    with store.build(request.name) as directory:
        try:
            installer = replace(installer or find_installer(), index=index)
            say(f"making {request.name} with {installer.name}")
            await _make_interpreter(installer, directory, request.python)
            target = Target(str(directory / "bin" / "python"))
            say("finding out what belongs to it")
            pins = await resolve(
                installer,
                (*EVERY, *request.requirements),
                target,
                timeout_seconds=_RESOLVE_SECONDS,
            )
            say(f"installing {len(pins)} packages")
            await install(
                installer,
                pins,
                target,
                shows_progress=shows_progress,
                timeout_seconds=_INSTALL_SECONDS,
            )
            if installer.name == "uv":  # pip did
                say("compiling them")
                await compile_packages(directory, timeout_seconds=_COMPILE_SECONDS)
            version = await run_code(directory, _TRY, timeout_seconds=_TRY_SECONDS)
        except InstallerError as error:
            raise EnvironmentFailedError(
                f"The environment {request.name!r} could not be made: {_last_lines(str(error))}"
            ) from error
        return store.publish(directory, _record(request, version.strip(), pins))


async def ensure(
    store: EnvironmentStore, name: str, *, say: Callable[[str], None], index: str = ""
) -> Environment:
    """The environment of a name that the product knows, made if it is not there.

    Of several that ask at once, one makes it and the others wait.

    Raises:
        EnvironmentFailedError: it is not there and could not be made.
    """
    async with store.making(name):
        found = store.find(name)
        return found or await make(store, request_for(name, ()), say=say, index=index)


async def _make_interpreter(installer: Installer, directory: Path, python: str) -> None:
    if installer.name == "uv":
        wanted = python or _own_interpreter()
        # The directory is there already, with the lock of whoever makes it.
        command = (*installer.command, "venv", "--quiet", "--allow-existing")
        await run((*command, "--python", wanted, str(directory)), timeout_seconds=_MAKE_SECONDS)
        return
    interpreter = _own_interpreter() if not python else _interpreter_named(python)
    command = (interpreter, "-I", "-m", "venv", "--without-pip", str(directory))
    await run(command, timeout_seconds=_MAKE_SECONDS)


def _own_interpreter() -> str:
    """The interpreter behind the virtual environment that this server is installed in."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _interpreter_named(python: str) -> str:
    if _VERSION.fullmatch(python) is None:
        return python
    found = shutil.which(f"python{'.'.join(python.split('.')[:2])}")
    if found is None:
        raise InstallerError(f"there is no python{python} on the PATH; uv would find or get one")
    return found


def _record(request: Request, version: str, pins: Sequence[Pin]) -> Record:
    return Record(
        name=request.name,
        python_version=version,
        python=request.python,
        requirements=request.requirements,
        lock=tuple(" ".join((str(pin), *pin.hashes)) for pin in pins),
        created_at=now(),
    )


def _last_lines(text: str, most: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-most:])
