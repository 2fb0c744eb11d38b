"""The URIs of resources: ``aca://sessions/{session}`` and what is below it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

CURRENT = "current"
"""Stands for the connection's own session."""
SCHEME = "aca://"
_PREFIX = f"{SCHEME}sessions/"
_MAX_CHARACTERS = 8192

Kind = Literal["session", "packages", "package", "notebook", "outputs", "files"]
TEMPLATES: dict[Kind, str] = {
    "files": _PREFIX + "{session}/files/{+path}",
    "session": _PREFIX + "{session}",
    "packages": _PREFIX + "{session}/packages",
    "package": _PREFIX + "{session}/packages/{package}",
    "outputs": _PREFIX + "{session}/outputs/{execution}",
    "notebook": _PREFIX + "{session}/notebook",
}


@dataclass(frozen=True, slots=True)
class ResourceUri:
    """What a URI names."""

    handle: str
    """The session's; empty for the connection's own."""
    kind: Kind
    name: str = ""
    """Path of a file, name of a package, or id of an execution; else empty."""


def parse(uri: str) -> ResourceUri | None:
    """What a URI names, or None if it is none of ours."""
    if not uri.startswith(_PREFIX) or len(uri) > _MAX_CHARACTERS:
        return None
    session, _, rest = uri.removeprefix(_PREFIX).partition("/")
    if not session:
        return None
    handle = "" if session == CURRENT else unquote(session)
    kind, _, name = rest.partition("/")
    name = unquote(name, errors="strict") if _is_text(name) else "\0"
    match kind, bool(name):
        case "", False:
            return ResourceUri(handle, "session")
        case "packages", False:
            return ResourceUri(handle, "packages")
        case "packages", True:
            return ResourceUri(handle, "package", name)
        case "notebook", False:
            return ResourceUri(handle, "notebook")
        case "outputs", True:
            return ResourceUri(handle, "outputs", name)
        case "files", True:
            return ResourceUri(handle, "files", name)
        case _:
            return None


def uri_of(resource: ResourceUri) -> str:
    """The URI that names it."""
    below = {
        "session": "",
        "packages": "/packages",
        "package": "/packages/",
        "notebook": "/notebook",
        "outputs": "/outputs/",
        "files": "/files/",
    }[resource.kind]
    name = quote(resource.name, safe="/", errors="replace")
    return f"{_PREFIX}{resource.handle or CURRENT}{below}{name}"


def _is_text(quoted: str) -> bool:
    try:
        unquote(quoted, errors="strict")
    except UnicodeDecodeError:
        return False
    return True
