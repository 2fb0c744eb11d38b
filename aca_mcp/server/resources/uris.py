"""The URIs of resources: ``aca://sessions/{session}`` and what is below it. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import quote

from mcp.shared.uri_template import UriTemplate

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
_PARSED: dict[Kind, UriTemplate] = {
    kind: UriTemplate.parse(text) for kind, text in TEMPLATES.items()
}


class ResourceUri(NamedTuple):
    """What a URI names."""

    handle: str
    """The session's; empty for the connection's own."""
    kind: Kind
    name: str = ""
    """Path of a file, name of a package, or id of an execution; else empty."""


def parse(uri: str) -> ResourceUri | None:
    """What a URI names, or None if it is none of ours."""
    for kind, template in _PARSED.items():
        found = template.match(uri, max_uri_length=_MAX_CHARACTERS)
        if found is not None and all(found.values()):
            session = str(found.pop("session"))
            name = str(next(iter(found.values()), ""))
            return ResourceUri("" if session == CURRENT else session, kind, name)
    return None


def uri_of(resource: ResourceUri) -> str:
    """The URI that names it."""
    name = resource.name.encode(errors="replace").decode()
    # What a path may have as it is would, but for slashes, not be read back.
    path = quote(name, safe="/")
    return _PARSED[resource.kind].expand(
        {
            "session": resource.handle or CURRENT,
            "package": name,
            "execution": name,
            "path": path,
        }
    )
