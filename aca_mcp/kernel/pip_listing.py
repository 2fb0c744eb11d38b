"""What ``pip list``, ``freeze``, ``show`` and ``check`` print in a session."""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import TYPE_CHECKING

from .distributions import field

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = frozenset({"list", "freeze", "show", "check"})
_SHOWN = ("Name", "Version", "Summary", "Home-page", "Author", "License", "Location", "Requires")
_EXTRA = re.compile(r";.*\bextra\b")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def listed(command: str, arguments: Sequence[str]) -> tuple[str, int]:
    """The text of one of the commands, and its exit code."""
    match command:
        case "show":
            return _shown([each for each in arguments if not each.startswith("-")])
        case "check":
            # What would not go together with what is there is not installed.
            return "No broken requirements found.\n", 0
        case _:
            return _all(command, " ".join(arguments)), 0


def normalized(name: str) -> str:
    """A distribution's name as names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The name that a requirement begins with."""
    match = _NAME.match(requirement)
    return match.group() if match is not None else ""


def _all(command: str, arguments: str) -> str:
    found: dict[str, str] = {}
    for each in metadata.distributions():
        # The first of a name is the one that is imported.
        if name := field(each, "Name"):
            found.setdefault(name, each.version)
    rows = sorted(found.items(), key=lambda row: row[0].lower())
    if re.search(r"--format[= ]json", arguments):
        return json.dumps([{"name": name, "version": version} for name, version in rows]) + "\n"
    is_frozen = command == "freeze" or re.search(r"--format[= ]freeze", arguments)
    between = "==" if is_frozen else " "
    return "".join(f"{name}{between}{version}\n" for name, version in rows)


def _shown(names: Sequence[str]) -> tuple[str, int]:
    if not names:
        return "WARNING: ERROR: Please provide a package name or names.\n", 1
    pieces: list[str] = []
    missing: list[str] = []
    for name in names:
        try:
            pieces.append(_facts(metadata.distribution(name)))
        except (metadata.PackageNotFoundError, ValueError):
            missing.append(normalized(name))
    text = "---\n".join(pieces)
    if missing:
        text += f"WARNING: Package(s) not found: {', '.join(sorted(missing))}\n"
    return text, 0 if pieces else 1


def _facts(distribution: metadata.Distribution) -> str:
    requires = (each for each in distribution.requires or () if not _EXTRA.search(each))
    facts = {name: field(distribution, name) for name in _SHOWN}
    licence = field(distribution, "License-Expression") or facts["License"]
    facts["License"] = licence.partition("\n")[0]
    facts["Location"] = str(distribution.locate_file(""))
    facts["Requires"] = ", ".join(sorted({name_of(each) for each in requires}, key=str.lower))
    return "".join(f"{name}: {facts[name]}\n" for name in _SHOWN)
