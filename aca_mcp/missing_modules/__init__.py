"""What to do about a module that cannot be imported. Pure.

The tables of what is known are imported when a module is missing: a client waits for the start.
"""

from __future__ import annotations

import re
import shlex
from typing import Literal, NamedTuple


class PackageOffer(NamedTuple):
    """Which further packages sessions may get."""

    kind: Literal["never", "off", "list", "index"] = "never"
    """``off`` is a choice of who runs the server; ``never`` is the pool's nature."""
    listed: tuple[str, ...] = ()
    """With ``list``: what is permitted, as requirements are written."""
    pool_chooses: bool = False
    """Whoever made the pool chose what sessions have from their start: the pool is their one
    environment."""

    @property
    def is_open(self) -> bool:
        """Whether there are any."""
        return self.kind in {"list", "index"}

    def has(self, package: str) -> bool:
        """Whether a package may be had, by its normalized name."""
        from aca_mcp.missing_modules.known_packages import normal

        names = (re.match(r"[A-Za-z0-9._-]+", each) for each in self.listed)
        return self.kind == "index" or (
            self.kind == "list" and package in {normal(name.group()) for name in names if name}
        )

    def refusal(self) -> str:
        """Why what cannot be had cannot, and who could permit it."""
        match self.kind:
            case "list":
                return (
                    "It is not on the list of packages that may be installed here "
                    "(ACA_MCP_PACKAGES_LIST), which who runs the server can change."
                )
            case "off":
                return (
                    "Packages cannot be installed here, unless who runs the server permits it "
                    "with ACA_MCP_PACKAGES=index."
                )
            case _:
                return "Packages cannot be installed in it."


NOTHING = PackageOffer()


def about_missing_module(
    module: str, offer: PackageOffer = NOTHING, *, by_code: bool = False
) -> str:
    """A line for whoever tried to import a module that is not there.

    Args:
        module: its dotted name.
        offer: what sessions may get.
        by_code: say what code gets it, for whoever has no tools to call.
    """
    from aca_mcp.missing_modules.known_packages import find_module
    from aca_mcp.missing_modules.no_packages import why_no_package

    if why := why_no_package(module):
        return why
    found = find_module(module)
    name, package = found.name, found.package
    if name == "pip" and offer.is_open:
        return "pip is a command in this session: %pip install NAME."
    if not offer.has(package):
        other = f" It is brought by the package {package}." if package != name else ""
        return (
            f"This session has no module {name!r}.{other} {offer.refusal()} list_packages tells "
            "what there is. A module of your own can be uploaded as a file."
        )
    wanted = found.requirement
    call = f"%pip install {shlex.quote(wanted)}" if by_code else _call(wanted)
    if found.is_known:
        what = "is not installed" if name == package else f"comes with the package {package}"
        return f"{name} {what}: {call} gets it."
    # A stranger may have taken the name of what is a file of the user's.
    return f"If {name} is a package of that name, and not a file that is missing: {call}"


def about_absent_package(name: str, offer: PackageOffer) -> str:
    """What to do about a package that is not installed, by either of its names: a clause."""
    from aca_mcp.missing_modules.known_packages import find_module

    found = find_module(name)
    package = found.package
    if not offer.has(package):
        refusal = offer.refusal()
        return refusal[0].lower() + refusal[1:]
    if found.is_known:
        return f"{_call(found.requirement)} gets it"
    return f"if there is such a package, {_call(package)} gets it"


def _call(requirement: str) -> str:
    return f'install_packages(packages=["{requirement}"])'
