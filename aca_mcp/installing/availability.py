"""What an index has of one distribution, for a sentence about why nothing of it fits."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.installing.commands import Installer, InstallerError
from aca_mcp.installing.wheels import (
    Target,
    pins_of_lock,
    pip_python,
    pip_target,
    uv_target,
    write_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_UV_UNKNOWN = re.compile(r"was not found in the (?:package registry|provided package locations)")
_UV_OTHERS = re.compile(r"wheels .*following [\w ]+: (.+)", re.IGNORECASE)
_PIP_FOUND = re.compile(r"Found link .*, version: (\S+)")
_PIP_TAGS = re.compile(r"Skipping link: none of the wheel's tags \(([^)]*)\)")
_PIP_PYTHON = re.compile(r"Skipping link: \S+ Requires-Python (\S+): ")
_PIP_SOURCES = "Skipping link: No sources permitted"
_IMPOSSIBLE = "==0.dev0"
"""A version that nothing has: pip tells what there is, and fetches none of it."""
_MAX_LOG_CHARACTERS = 8 * 2**20
_MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class Availability:
    """What there is of a distribution."""

    is_in_index: bool
    versions: tuple[str, ...] = ()
    """That have a wheel for the interpreter, the newest last; uv tells of that one alone."""
    others: tuple[str, ...] = ()
    """What its other wheels are for, in the words of the installer."""


async def find_availability(
    installer: Installer,
    name: str,
    target: Target,
    *,
    timeout_seconds: float,
) -> Availability:
    """Look what an index has.

    Args:
        installer: what asks it.
        name: of the distribution, nothing else.
        target: the interpreter.
        timeout_seconds: the longest that it may take.

    Raises:
        InstallerError: the index cannot be asked.
    """
    with tempfile.TemporaryDirectory(prefix="aca-mcp-look-") as scratch:
        log = Path(scratch, "log.txt")
        if installer.name == "uv":
            wanted = write_lines(scratch, "requirements.txt", [name])
            arguments = (
                *("pip", "compile", wanted, "--quiet", "--no-header", "--no-progress"),
                *("--no-deps", "--format", "pylock.toml", "--only-binary", ":all:"),
                *uv_target(target),
            )
        else:
            wanted = write_lines(scratch, "requirements.txt", [name + _IMPOSSIBLE])
            arguments = (
                *pip_python(target),
                *("install", "--dry-run", "--ignore-installed", "--quiet", "--no-deps"),
                *("--only-binary", ":all:", "--log", str(log), "-r", wanted),
                *pip_target(target, scratch),
            )
        try:
            printed = await installer.run(*arguments, timeout_seconds=timeout_seconds)
        except InstallerError as error:
            if installer.name == "uv":
                return _of_refusal(str(error))
            return _of_log(_beginning_of(log))
        return Availability(True, tuple(pin.version for pin in pins_of_lock(printed)))


def _of_refusal(said: str) -> Availability:
    """Read why uv found nothing."""
    if _UV_UNKNOWN.search(said) is not None:
        return Availability(False)
    others = (
        each for found in _UV_OTHERS.findall(said) for each in re.findall(r"`([^`]+)`", found)
    )
    return Availability("no version" in said or "wheels" in said, others=_first(others))


def _of_log(log: str) -> Availability:
    """Read what pip looked at, and why it took none of it."""
    versions = _first(_PIP_FOUND.findall(log)[::-1])[::-1]
    others = [tags for found in _PIP_TAGS.findall(log) for tags in found.split(", ")]
    others += [f"Python {each}" for each in _PIP_PYTHON.findall(log)]
    exists = bool(versions or others or _PIP_SOURCES in log)
    return Availability(exists, versions, _first(others))


def _first(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))[:_MAX_NAMED]


def _beginning_of(log: Path) -> str:
    try:
        with log.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_MAX_LOG_CHARACTERS)
    except OSError:
        return ""
