"""Answers the question which packages a session has. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aca_mcp.missing_modules import module_of, package_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.pool import Installation, Package

_SEPARATORS = re.compile(r"[-_.]+")


def show_packages(packages: Sequence[Package], query: str) -> str:
    """Name and version of the packages that a query asks for, a line each.

    Each word of the query (between spaces, commas or semicolons) is the name of a package or a
    module, whose spelling may differ as it may for pip, or else part of names. What is not there is
    said to be absent.
    """
    words = [word for word in re.split(r"[\s,;]+", query) if word]
    if not words:
        return _lines(packages) or "[the pool does not tell which packages there are]"
    return "\n".join(_answer(packages, word) for word in words)


def show_installation(made: Installation) -> str:
    """What installing packages gave, in a few lines."""
    lines: list[str] = []
    if made.installed:
        names = ", ".join(f"{each.name} {each.version}" for each in made.installed)
        size = made.size_bytes / 2**20
        lines.append(f"Installed {names} ({size:,.1f} MiB, {made.duration_seconds:.1f} s).")
        modules = [(each.name, module_of(each.name)) for each in made.installed]
        lines += [f"{name} is imported as {module}." for name, module in modules if module]
    if made.present:
        names = ", ".join(f"{each.name} {each.version}" for each in made.present)
        lines.append(f"Already there: {names}.")
    return "\n".join(lines)


def _answer(packages: Sequence[Package], word: str) -> str:
    wanted = _normal(word)
    exact = [package for package in packages if _normal(package.name) == wanted]
    if exact:
        return _lines(exact)
    other = _normal(package_of(word))
    if other != wanted and (found := [p for p in packages if _normal(p.name) == other]):
        return f"{_lines(found)} (import {word})"
    similar = [package for package in packages if wanted in _normal(package.name)]
    if similar:
        return f"{word}: not installed; similar names:\n{_lines(similar)}"
    return f"{word}: not installed"


def _lines(packages: Sequence[Package]) -> str:
    return "\n".join(f"{package.name} {package.version}" for package in packages)


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
