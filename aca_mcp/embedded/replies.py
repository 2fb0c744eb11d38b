"""A kernel's other replies, checked: what comes out of a session is data, never believed. Pure."""

from __future__ import annotations

from typing import cast

from aca_mcp.kernel.message_framing import Frame, FrameError
from aca_mcp.pool import Package
from aca_mcp.reports.events import clean

INTERFERED = "its code interfered with the interpreter's own connection"
"""Why a session ends whose replies are not what its kernel would send: a clause."""

_MAX_MODULES = 10


def parse_packages(frame: Frame) -> tuple[Package, ...]:
    """Read the reply to ``packages``.

    Raises:
        FrameError: it is not one.
    """
    return parse_package_rows(frame.header.get("packages"))


def parse_package_rows(rows: object) -> tuple[Package, ...]:
    """Read rows of name, version and modules.

    Raises:
        FrameError: they are not that.
    """
    if not isinstance(rows, list):
        raise FrameError("packages are no list")
    found: list[Package] = []
    for row in cast("list[object]", rows):
        match row:
            case [str(name), str(version), list()]:
                modules = cast("list[object]", cast("list[object]", row)[2])
                named = tuple(clean(str(module)) for module in modules[:_MAX_MODULES])
                found.append(Package(clean(name), clean(version), named))
            case _:
                raise FrameError("a package has no name and version")
    return tuple(found)
