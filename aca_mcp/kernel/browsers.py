"""Browsers, which sessions do not have: what code would open in one is told instead.

Standard library only.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from types import ModuleType

_MAX_CHARACTERS = 200
"""Of an address; some carry what they are to show."""


def prepare_webbrowser(webbrowser: ModuleType) -> None:
    """Have all that asks for a browser told that there is none, whichever it asks for."""

    class NoBrowser(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            print(not_opened(url), file=sys.stderr)  # noqa: T201 -- whoever reads is to know
            return False

    none: Any = NoBrowser()
    webbrowser.register("session", None, none, preferred=True)

    def get(using: str | None = None) -> object:
        return none

    webbrowser.get = get  # pyright: ignore[reportAttributeAccessIssue] -- it has one


def not_opened(address: str) -> str:
    """What to know about an address that code opened: a file stays, a page is for people."""
    parts = urlsplit(address)
    path = unquote(parts.path) if parts.scheme in ("", "file") else ""
    if path and os.path.exists(path):  # noqa: PTH110 -- a name of the code's
        name = os.path.relpath(path)
        return f"There is no browser here: {name} stays a file of the session, to be downloaded."
    shown = address if len(address) <= _MAX_CHARACTERS else f"{address[:_MAX_CHARACTERS]}…"
    return f"There is no browser here: {shown} was not opened. Tell the address to whoever asked."
