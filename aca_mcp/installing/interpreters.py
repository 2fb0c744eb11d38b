"""Starts interpreters of environments without the packages that they have.

An interpreter obeys the ``.pth`` files of its site-packages whenever it starts, and what is in them
is code of packages. Whoever only asks an interpreter what it is, or compiles for it, runs none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from aca_mcp.installing.commands import InstallerError, run

_WITHOUT_PACKAGES = ("-I", "-S")


def interpreter_behind(python: str) -> str:
    """The interpreter that a virtual environment was made of; its own path if it is of none.

    Installers ask it in the environment's place: it is of the same version, for the same machine.
    """
    path = Path(python)
    real = path.resolve()
    if (real.parent.parent / "pyvenv.cfg").is_file():  # a copy
        with suppress(OSError, UnicodeDecodeError):
            lines = (real.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
            divided = (line.partition("=") for line in lines)
            settings = {key.strip(): value.strip() for key, _, value in divided}
            real = Path(settings.get("home", ""), real.name)
    return str(real) if os.access(real, os.X_OK) else python


def packages_of(environment: Path) -> Path:
    """The directory of packages of a virtual environment.

    Raises:
        InstallerError: there is none.
    """
    found = next(environment.glob("lib/python3*/site-packages"), None)
    if found is None:
        raise InstallerError("the environment has no directory for packages")
    return found


async def compile_packages(environment: Path, *, timeout_seconds: float) -> None:
    """Compile all modules of a virtual environment, those that cannot be compiled left out.

    Raises:
        InstallerError: it took too long.
    """
    # As ``python -m compileall``, which fails where a package has code of another Python.
    code = "import compileall; compileall.compile_dir(sys.path.pop(), quiet=2, workers=0)"
    await run_code(environment, code, timeout_seconds=timeout_seconds)


async def run_code(environment: Path, code: str, *, timeout_seconds: float) -> str:
    """Run code in the interpreter of a virtual environment, and return what it prints.

    It can import the packages that are there, and nothing of them runs unless it does.

    Raises:
        InstallerError: it failed, or took too long.
    """
    python = str(environment / "bin" / "python")
    ahead = f"import sys; sys.path.append({str(packages_of(environment))!r})\n"
    return await run(
        (python, *_WITHOUT_PACKAGES, "-c", ahead + code), timeout_seconds=timeout_seconds
    )
