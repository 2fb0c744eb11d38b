"""Requirements to pins, and pins to files: what uv and pip are asked, and what they answer.

Wheels only: no source distribution is built, so that nothing of a package runs on this machine.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from packaging.utils import canonicalize_name

from aca_mcp.installing.commands import Installer, InstallerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OLDER_GLIBC = ("2_28", "2_27", "2_24", "2_17", "2_12", "2_5")
"""Of manylinux platforms that pip must be told one by one, newest first."""

ANY_MACHINE = "any"
"""Wheels of pure Python alone: for an interpreter that loads no other code."""
_UV_PLATFORM_OF_ANY = "wasm32-pyodide2024"
"""The only platform of uv's for which next to nothing is compiled."""
_COMPILED = (".so", ".pyd", ".dylib", ".dll")


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter that packages are for."""

    python: str | None = None
    """The path of an interpreter of this machine; else the two below are known."""
    python_version: str = ""
    """Such as ``3.12``."""
    machine: str = ""
    """Such as ``x86_64``: of a Linux with glibc 2.28 or newer. Or ``ANY_MACHINE``."""


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One distribution in one version."""

    name: str
    """Normalized, as package indexes do."""
    version: str
    hashes: tuple[str, ...] = ()
    """``sha256:...`` of its wheel, or of each that it may be."""
    size_bytes: int = field(default=0, compare=False)
    """Of its wheel; 0 where the index or the installer does not tell."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


async def resolve(
    installer: Installer,
    requirements: Iterable[str],
    target: Target,
    *,
    constraints: Iterable[str] = (),
    limits: Iterable[str] = (),
    timeout_seconds: float,
) -> tuple[Pin, ...]:
    """Find the distributions that fulfil requirements together, sorted by name.

    Args:
        installer: what asks the index.
        requirements: as PEP 508 writes them; they must have been checked.
        target: what they are for.
        constraints: pins that hold for those that are needed. With ``ANY_MACHINE`` the target has
            them already, whether or not the index has wheels of them that it could load.
        limits: versions of others that are needed, as ``name<2``.
        timeout_seconds: the longest that it may take.

    Raises:
        InstallerError: there are none, or the index cannot be asked.
    """
    with tempfile.TemporaryDirectory(prefix="aca-mcp-resolve-") as scratch:
        wanted = write_lines(scratch, "requirements.txt", requirements)
        pins = tuple(constraints)
        held = write_lines(scratch, "constraints.txt", (*pins, *limits))
        stand_ins = _stand_ins(scratch, pins) if target.machine == ANY_MACHINE else ()
        if installer.name == "uv":
            # Named here, for what is named on the command line takes the variable's place.
            kept = {**os.environ, **installer.variables()}.get("UV_CONSTRAINT", "").split()
            printed = await installer.run(
                *("pip", "compile", wanted, "--constraint", held),
                *(part for file in kept for part in ("--constraint", file)),
                *("--quiet", "--no-header", "--format", "pylock.toml"),
                *("--only-binary", ":all:", "--no-progress"),
                *uv_target(target),
                *stand_ins,
                timeout_seconds=timeout_seconds,
            )
            return pins_of_lock(printed)
        report = Path(scratch, "report.json")
        await installer.run(
            *pip_python(target),
            *("install", "--dry-run", "--ignore-installed", "--quiet", "--only-binary", ":all:"),
            *("--report", str(report), "-r", wanted, "-c", held),
            *pip_target(target, scratch),
            *stand_ins,
            timeout_seconds=timeout_seconds,
        )
        return _pins_of_report(report)


async def install(
    installer: Installer,
    pins: Sequence[Pin],
    target: Target,
    *,
    into: Path | None = None,
    shows_progress: bool = False,
    timeout_seconds: float,
) -> None:
    """Fetch the wheels of pins, see that they are those, and unpack them.

    Args:
        installer: what does it.
        pins: all of them with hashes; what they depend on is not looked for.
        target: the interpreter.
        into: an empty directory; by default the interpreter's own site-packages, which are not
            compiled by each installer (``interpreters.compile_packages``).
        shows_progress: on this process's stderr.
        timeout_seconds: the longest that it may take.

    Raises:
        InstallerError: one could not be fetched, is not what its hash says, or is no wheel.
    """
    with tempfile.TemporaryDirectory(prefix="aca-mcp-install-") as scratch:
        lock = write_lines(scratch, "lock.txt", map(_line, pins))
        common = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", lock)
        if installer.name == "uv":
            arguments = (
                *("pip", "install", *common),
                *(() if shows_progress else ("--quiet", "--no-progress")),
                # Only an interpreter of this machine can compile for itself; it would obey the
                # .pth files of its own site-packages.
                *(("--compile-bytecode",) if target.python and into else ()),
                *uv_target(target),
                *(("--target", str(into)) if into else ()),
            )
        else:
            arguments = (
                *pip_python(target),
                *("install", *common),
                *(() if shows_progress else ("--quiet",)),
                *(("--target", str(into)) if into else ()),
                *pip_target(target, None),
            )
        await installer.run(
            *arguments,
            # They have been kept to, and uv wants hashes of them too.
            variables={"UV_CONSTRAINT": ""},
            timeout_seconds=timeout_seconds,
            shows_progress=shows_progress,
        )


def uv_target(target: Target) -> tuple[str, ...]:
    """Options of uv's that name an interpreter."""
    if target.python:
        return ("--python", target.python)
    platform = f"{target.machine}-manylinux_2_28"
    if target.machine == ANY_MACHINE:
        platform = _UV_PLATFORM_OF_ANY
    version = ("--python-version", target.python_version, "--python-platform", platform)
    return (*version, "--no-python-downloads")  # it would look for that Python, for seconds


def pip_python(target: Target) -> tuple[str, ...]:
    """Options of pip's, before its command, that name an interpreter of this machine."""
    return ("--python", target.python) if target.python else ()


def pip_target(target: Target, into: str | None) -> tuple[str, ...]:
    """Options of pip's that name an interpreter of another machine.

    Args:
        target: the interpreter.
        into: where pip would install, which it must be told to take one of these.
    """
    if target.python:
        return ()
    if target.machine == ANY_MACHINE:
        return (
            *("--python-version", target.python_version, "--implementation", "py"),
            *("--abi", "none", "--platform", "any"),
            *(("--target", into) if into else ()),
        )
    platforms = (f"manylinux_{glibc}_{target.machine}" for glibc in _OLDER_GLIBC)
    legacy = (f"manylinux2014_{target.machine}", f"manylinux2010_{target.machine}")
    named = (part for name in (*platforms, *legacy) for part in ("--platform", name))
    return (
        *("--python-version", target.python_version, "--implementation", "cp", *named),
        *(("--target", into) if into else ()),
    )


def has_compiled_code(directory: Path) -> bool:
    """Whether there are libraries below a directory that a machine would load."""
    return any(path.name.endswith(_COMPILED) for path in directory.rglob("*"))


def _stand_ins(scratch: str, pins: Iterable[str]) -> tuple[str, str]:
    """Options by which an installer finds empty wheels of what the target has already.

    An index need not have wheels of those versions that the target could load.
    """
    directory = Path(scratch, "stand-ins")
    directory.mkdir()
    for pin in pins:
        name, _, version = pin.partition("==")
        base = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(directory / f"{base}-py3-none-any.whl", "w") as wheel:
            for file, lines in {
                "METADATA": ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"),
                "WHEEL": ("Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any"),
                "RECORD": (),
            }.items():
                wheel.writestr(f"{base}.dist-info/{file}", "".join(f"{line}\n" for line in lines))
    return ("--find-links", str(directory))


def write_lines(directory: str, name: str, lines: Iterable[str]) -> str:
    """Write a short file for an installer to read; its path."""
    path = Path(directory, name)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def _line(pin: Pin) -> str:
    return " ".join((str(pin), *(f"--hash={value}" for value in pin.hashes)))


def pins_of_lock(text: str) -> tuple[Pin, ...]:
    """Read a lock file that uv printed (https://peps.python.org/pep-0751/): sorted by name.

    Raises:
        InstallerError: it is none.
    """
    try:
        packages: list[dict[str, Any]] = tomllib.loads(text).get("packages", [])
        return tuple(sorted(map(_pin_of_package, packages)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InstallerError("uv's lock file cannot be read") from error


def _pin_of_package(package: dict[str, Any]) -> Pin:
    wheels: list[dict[str, Any]] = package["wheels"]
    hashes = sorted(f"sha256:{wheel['hashes']['sha256']}" for wheel in wheels)
    size = max(int(wheel.get("size", 0)) for wheel in wheels)
    return Pin(canonicalize_name(package["name"]), str(package["version"]), tuple(hashes), size)


def _pins_of_report(report: Path) -> tuple[Pin, ...]:
    """Read pip's installation report."""
    try:
        entries: list[dict[str, dict[str, object]]] = json.loads(
            report.read_text(encoding="utf-8")
        )["install"]
        return tuple(sorted(map(_pin_of_entry, entries)))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InstallerError("pip's report cannot be read") from error


def _pin_of_entry(entry: dict[str, dict[str, object]]) -> Pin:
    metadata, archive = entry["metadata"], entry["download_info"]["archive_info"]
    digest = cast("dict[str, dict[str, str]]", archive)["hashes"]["sha256"]
    return Pin(
        canonicalize_name(str(metadata["name"])), str(metadata["version"]), (f"sha256:{digest}",)
    )
