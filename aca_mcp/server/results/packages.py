"""Answers the question which packages a session has. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aca_mcp.missing_modules import PackageOffer, about_absent_package
from aca_mcp.missing_modules.known_packages import find_module, module_of, normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.pool import Installation, Package

_MAX_LISTED = 60
_POOL_CHOOSES = (
    "[This is what the Azure pool has, which is the environment of all its sessions: who made the "
    "pool chose it.]\n"
)


def show_packages(packages: Sequence[Package], query: str, offer: PackageOffer) -> str:
    """Name and version of the packages that a query asks for, a line each, and what else there is.

    Each word of the query (between spaces, commas or semicolons) is the name of a package or a
    module, whose spelling may differ as it may for pip, or else part of names. What is not there is
    said to be absent, with what to do.
    """
    words = [word for word in re.split(r"[\s,;]+", query) if word]
    if words:
        return "\n".join(_answer(packages, word, offer) for word in words)
    listed = _lines(packages) or "[the pool does not tell which packages there are]"
    return f"{listed}\n{_POOL_CHOOSES if offer.pool_chooses else ''}{_further(offer)}"


def _further(offer: PackageOffer) -> str:
    match offer.kind:
        case "index":
            return "[install_packages gets others, from the index of the server's configuration.]"
        case "list":
            shown = ", ".join(offer.listed[:_MAX_LISTED])
            more = len(offer.listed) - _MAX_LISTED
            rest = f" and {more} more" if more > 0 else ""
            return f"[install_packages gets these, and no others: {shown}{rest}.]"
        case _:
            return f"[{offer.refusal().replace(' in it', '')}]"


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
    return "\n".join(lines) or "Nothing was needed: none of it is for the session's interpreter."


def _answer(packages: Sequence[Package], word: str, offer: PackageOffer) -> str:
    wanted = normal(word)
    by_name = [package for package in packages if normal(package.name) == wanted]
    known = find_module(word)
    # Packages that share a namespace have its top-level name alike.
    top = "" if "." in known.name else known.name
    by_module = [package for package in packages if top in package.modules]
    if exact := by_name or by_module:
        return _lines(exact)
    if found := [package for package in packages if normal(package.name) == known.package]:
        return "\n".join(f"{each.name} {each.version} (import {word})" for each in found)
    absent = f"{word}: not installed; {about_absent_package(word, offer).rstrip('.')}"
    similar = [package for package in packages if wanted in normal(package.name)]
    return f"{absent}. Similar names:\n{_lines(similar)}" if similar else absent


def _lines(packages: Sequence[Package]) -> str:
    return "\n".join(map(_line, packages))


def _line(package: Package) -> str:
    imported = f" (import {', '.join(package.modules)})" if package.modules else ""
    return f"{package.name} {package.version}{imported}"
