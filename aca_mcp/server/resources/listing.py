"""Which resources there are: for everybody as templates, for a connection also one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp_types import ListResourcesResult, Resource, ResourceLink, ResourceTemplate
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from aca_mcp.errors import SessionPoolError
from aca_mcp.server.resources.uris import TEMPLATES, ResourceUri, uri_of
from aca_mcp.server.results.files import mime_type_of
from aca_mcp.server.results.notebook import MIME_TYPE
from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from aca_mcp.pool import FileEntry
    from aca_mcp.server.callers import Caller
    from aca_mcp.server.sessions.client_sessions import OpenSession

_ABOUT: dict[str, tuple[str, str, str | None]] = {
    "files": ("session_file", "A file of a session's work directory.", None),
    "session": ("session", "A session: status, times, isolation.", "application/json"),
    "packages": ("session_packages", "The packages of a session.", "text/plain"),
    "package": ("session_package", "The version of one package.", "text/plain"),
    "outputs": ("execution_output", "The whole text of an execution's result.", "text/plain"),
    "notebook": ("session_notebook", "What ran in a session, as a notebook.", MIME_TYPE),
}


def templates() -> list[ResourceTemplate]:
    """The same for every client. ``current`` stands for the connection's own session."""
    return [
        ResourceTemplate(
            uri_template=TEMPLATES[kind],
            name=_ABOUT[kind][0],
            description=_ABOUT[kind][1],
            mime_type=_ABOUT[kind][2],
        )
        for kind in TEMPLATES
    ]


async def list_resources(caller: Caller, protocol_version: str) -> ListResourcesResult:
    """What a client can read, one by one.

    Later revisions want a list that does not vary from connection to connection.
    """
    if caller.own is None or protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return ListResourcesResult(resources=[])
    return ListResourcesResult(resources=await of_connection(caller.own))


async def of_connection(own: OpenSession) -> list[Resource]:
    """What the connection's own session has. Nothing is allocated for being listed."""
    listed = [
        Resource(
            uri=uri_of(ResourceUri("", kind)),
            name=_ABOUT[kind][0],
            description=_ABOUT[kind][1],
            mime_type=_ABOUT[kind][2],
        )
        for kind in ("session", "packages", "notebook")
    ]
    if own.python.is_allocated:
        try:
            files = await own.python.list_files(recursive=True)
        except SessionPoolError:
            return listed  # the session has just ended: it has no files
        listed += [_file(entry) for entry in files.entries if entry.kind == "file"]
    return listed


def link_to(handle: str, path: str) -> ResourceLink:
    """A link to a file, for results. ``handle`` is empty for the connection's own session."""
    return ResourceLink(
        uri=uri_of(ResourceUri(handle, "files", path)),
        name=show_name(path),
        mime_type=mime_type_of(path),
    )


def _file(entry: FileEntry) -> Resource:
    return Resource(
        uri=uri_of(ResourceUri("", "files", entry.path)),
        name=show_name(entry.path),
        mime_type=mime_type_of(entry.path),
        size=entry.size_bytes,
    )
