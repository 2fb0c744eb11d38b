"""Answers the question which packages a session has. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.pool import Package

_SEPARATORS = re.compile(r"[-_.]+")


def show_packages(packages: Sequence[Package], query: str) -> str:
    """Name and version of the packages that a query asks for, a line each.

    Each word of the query (between spaces or commas) is a name, whose spelling may differ as it
    may for pip, or else part of names. What is not there is said to be absent.
    """
    words = [word for word in re.split(r"[\s,]+", query) if word]
    if not words:
        return _lines(packages) or "[the pool does not tell which packages there are]"
    return "\n".join(_answer(packages, word) for word in words)


def _answer(packages: Sequence[Package], word: str) -> str:
    wanted = _normal(word)
    exact = [package for package in packages if _normal(package.name) == wanted]
    if exact:
        return _lines(exact)
    similar = [package for package in packages if wanted in _normal(package.name)]
    if similar:
        return f"{word}: not installed; similar names:\n{_lines(similar)}"
    return f"{word}: not installed"


def _lines(packages: Sequence[Package]) -> str:
    return "\n".join(f"{package.name} {package.version}" for package in packages)


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()
