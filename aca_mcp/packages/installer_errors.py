"""What an installer says, as a sentence for a model. Pure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aca_mcp.missing_modules.known_packages import find_module

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aca_mcp.installing.availability import Availability

_MAX_CHARACTERS = 1200
_MAX_LINES = 8
_ADDRESS = re.compile(r"\b[a-z+]+://\S+|\(from [^)]*\)", re.IGNORECASE)
_HOME = re.compile(r"(/[\w.@-]+){2,}/?")
_NONE_FITS = (
    re.compile(r"Because ([\w.-]+) was not found in "),
    re.compile(r"No matching distribution found for ([\w.-]+)"),
    re.compile(
        r"Because (?:all versions of |only )?([\w.-]+?)(?:[=<>!~][^ ]*)? "
        r"ha(?:s|ve) no (?:usable )?wheels"
    ),
    re.compile(r"Because there (?:is|are) no versions? of ([\w.-]+)"),
    re.compile(r"Because only ([\w.-]+?)(?:[=<>!~][^ ]*)? is available"),
)
"""How installers say that they found no distribution that fits."""
_UNREACHABLE = (
    "error sending request",
    "Connection refused",
    "dns error",
    "Temporary failure in name resolution",
    "NewConnectionError",
    "Could not connect",
    "Max retries exceeded",
    "operation timed out",
    "Failed to fetch",
    "Network is unreachable",
)
_TOO_LARGE = ("File too large", "os error 27")
_FULL = ("No space left on device", "os error 28")
_SPOILED = (
    "hash mismatch",
    "Hash mismatch",
    "DO NOT MATCH THE HASHES",
    "BadZipFile",
    "invalid wheel",
    "Failed to read",
    "Failed to extract",
    "bad zip",
    "zip archive",
    "outside",
    "Invalid Wheel",
    "is invalid",
)
_CONFLICT = re.compile(
    r"([\w.-]+?)(?:\[[^\]]*\])?(?:[<>=!~]\S*)? depends? on (?P<name>[\w.-]+?)"
    r"(?P<wanted>[<>=!~]\S*) and (?P=name)==(?P<version>[\w.+!-]*\w)"
)
"""How uv says that a version which the session has does not go together with a package."""
_NOTHING = "Nothing was installed."


def missing_distribution(said: str) -> str:
    """The distribution of which an installer found none that fits; empty if that is not it."""
    if _has(said, (*_TOO_LARGE, *_FULL, *_SPOILED, *_UNREACHABLE)):
        return ""
    found = (pattern.search(said) for pattern in _NONE_FITS)
    return next((match.group(1) for match in found if match is not None), "")


def about_availability(
    name: str, available: Availability, requirements: Sequence[str], *, names: tuple[str, ...] = ()
) -> str:
    """Why no distribution fits, and which would.

    Args:
        name: of the distribution.
        available: what the index has of it.
        requirements: what was asked for, which may be other packages that need this one.
        names: known names of packages, to find the nearest of one that does not exist.
    """
    asked = {canonicalize_name(Requirement(each).name) for each in requirements}
    needed = "" if canonicalize_name(name) in asked else f", which {_shown(requirements)} needs,"
    near = _near(name, names)
    if not available.is_in_index:
        return f"The index has no package {name!r}{needed}.{near} {_NOTHING}"
    if not available.versions:
        others = ", ".join(available.others)
        only = f", only for {others}" if others else ""
        return (
            f"No version of {name}{needed} has a wheel for this interpreter{only}, and sources are "
            f"not built.{near} {_NOTHING}{'' if near else ' Do without it.'}"
        )
    return (
        f"{name}{needed} has no wheel for this interpreter in a version that fits, and sources are "
        f"not built. Versions that have one: {', '.join(available.versions)}. {_NOTHING}"
    )


def too_large(requirements: Sequence[str], most_bytes: int, size_bytes: int = 0) -> str:
    """That something is more than is installed at once."""
    limit = f"{most_bytes // 2**20:,} MiB, the most that is installed at once"
    has = (
        f"{size_bytes // 2**20:,} MiB to fetch, of {limit}" if size_bytes else f"more than {limit}"
    )
    return (
        f"{_shown(requirements)} has {has}. {_NOTHING} Ask for less, or have a person make an "
        f"environment: aca-mcp env create NAME {shlex.join(requirements)}"
    )


def sentence_for(
    said: str,
    requirements: Sequence[str],
    *,
    most_bytes: int,
    installed: Mapping[str, str] | None = None,
) -> str:
    """What happened, and what to do.

    Args:
        said: by uv or pip, or by the system.
        requirements: what was asked for.
        most_bytes: the most that is installed at once.
        installed: what the session has, normalized name to version.
    """
    if _has(said, _TOO_LARGE):
        return too_large(requirements, most_bytes)
    if _has(said, _FULL):
        return f"The server's disk is full. {_NOTHING} Tell the user."
    if "took longer than" in said:
        return (
            f"Fetching {_shown(requirements)} took too long. {_NOTHING} Try again, or do without."
        )
    if _has(said, _SPOILED):
        return (
            f"A wheel of {_shown(requirements)} is damaged or is not what the index says it is. "
            f"{_NOTHING} {_shortened(said)}"
        )
    if _has(said, _UNREACHABLE):
        return (
            f"The package index cannot be reached. {_NOTHING} A person can install it where there "
            f"is a network: aca-mcp env create NAME {shlex.join(requirements)}"
        )
    if why := _conflict(" ".join(said.split()), installed or {}):
        return (
            f"{_shown(requirements)} does not go together with what the session has: {why}, which "
            f"stays as it is. {_NOTHING} Do without it, or have a person make another environment: "
            f"aca-mcp env create NAME {shlex.join(requirements)}, or, for Azure, another pool."
        )
    return f"{_shown(requirements)} could not be installed. {_NOTHING} {_shortened(said)}"


def _conflict(said: str, installed: Mapping[str, str]) -> str:
    """Which package needs another version of one that is there: a clause, or nothing.

    uv tells the last of its reasons last.
    """
    for match in reversed(list(_CONFLICT.finditer(said))):
        name, version = canonicalize_name(match["name"]), match["version"]
        if installed.get(name) == version:
            return f"{match[1]} needs {name}{match['wanted']}, and there is {name} {version}"
    return ""


def _shown(requirements: Sequence[str]) -> str:
    return " ".join(requirements)


def _near(name: str, names: tuple[str, ...]) -> str:
    import difflib

    known = find_module(name)
    if known.is_known and known.package != canonicalize_name(name):
        return f" What is known as {known.name} comes with the package {known.package}."
    found = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.75)
    return f" Names like it: {', '.join(found)}." if found else ""


def _has(said: str, words: tuple[str, ...]) -> bool:
    return any(word in said for word in words)


def _shortened(said: str) -> str:
    """What the installer said, without addresses and paths of this machine."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = " ".join(lines[:_MAX_LINES])
    text = _HOME.sub("(a path)", _ADDRESS.sub("(an address)", text))
    return f"The installer says: {text[:_MAX_CHARACTERS]}"
