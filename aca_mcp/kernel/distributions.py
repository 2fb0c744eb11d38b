"""Which distributions are installed, and the modules by which they are imported."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOP_LEVEL = re.compile(r"^([A-Za-z]\w*)(?:/|(?:\.[\w-]+)*\.(?:py|so|pyd)\b)", re.MULTILINE)
"""In a record of files: what is a package or a module of its own; not what is private."""
_MAX_MODULES = 10


def installed_packages() -> list[tuple[str, str, list[str]]]:
    """Name, version and modules of each distribution on ``sys.path``, the first of a name, sorted.

    Modules are named only where they are not the distribution's own name.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for distribution in metadata.distributions():
        name = field(distribution, "Name")
        if name and name not in found:
            found[name] = distribution.version, _modules_of(name, distribution)
    return [(name, *found[name]) for name in sorted(found, key=str.lower)]


def field(distribution: metadata.Distribution, name: str) -> str:
    """A field of a distribution's metadata; empty where it or they cannot be read.

    Not by ``[name]``, which for fields that are not there warns, and will raise an error.
    """
    try:
        return str((distribution.metadata.get_all(name) or [""])[0])
    except (OSError, ValueError, TypeError, AttributeError):
        return ""


def _modules_of(name: str, distribution: metadata.Distribution) -> list[str]:
    try:
        told = distribution.read_text("top_level.txt")
        record = distribution.read_text("RECORD") if told is None else None
    except (OSError, UnicodeDecodeError):
        return []
    modules: Iterable[str] = _TOP_LEVEL.findall(record or "") if told is None else told.split()
    named = sorted({module for module in modules if not module.startswith("_")})
    own = re.sub(r"[-_.]+", "_", name).lower()
    return [] if own in named else named[:_MAX_MODULES]
