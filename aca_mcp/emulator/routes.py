"""Which operation a request asks for: both families of routes, below any prefix. Pure.

Clients append routes to whatever endpoint they are given, with a slash before or without. So only
the end of a path matters, and each part stays quoted until it is a whole part.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from starlette.types import Scope

Dialect = Literal["python", "legacy", "flat"]
"""How bodies look: before the first documented API version, in the older ones, in the newer."""
LEGACY_VERSIONS = ("2024-02-02-preview", "2024-08-02-preview")
FLAT_VERSIONS = ("2024-10-02-preview", "2025-02-02-preview", "2025-10-02-preview")
VERSIONS = (*LEGACY_VERSIONS, *FLAT_VERSIONS)


class Operation(enum.Enum):
    """What the service can be asked."""

    EXECUTE = enum.auto()
    GET_EXECUTION = enum.auto()
    LIST_FILES = enum.auto()
    UPLOAD_FILE = enum.auto()
    GET_FILE = enum.auto()
    DELETE_FILE = enum.auto()
    READ_FILE = enum.auto()
    GET_SESSION = enum.auto()
    DELETE_SESSION = enum.auto()
    LIST_SESSIONS = enum.auto()
    MANAGE_GET_SESSION = enum.auto()
    MANAGE_STOP_SESSION = enum.auto()
    MANAGE_LIST_SESSIONS = enum.auto()
    METADATA = enum.auto()


SINCE = {
    Operation.GET_EXECUTION: "2024-10-02-preview",
    Operation.GET_SESSION: "2025-02-02-preview",
    Operation.DELETE_SESSION: "2025-02-02-preview",
    Operation.LIST_SESSIONS: "2025-02-02-preview",
    Operation.METADATA: "2025-02-02-preview",
    Operation.MANAGE_STOP_SESSION: "2025-02-02-preview",
}
"""The first API version of an operation, where that is not the first of all."""


@dataclass(frozen=True, slots=True)
class Route:
    """An operation with what its path names."""

    operation: Operation
    name: str = ""
    """Of a file, or an execution's id."""
    prefix: str = ""
    """The path before the route: the pool's."""
    is_earliest: bool = False
    """It is of the family before the first documented API version."""


_NAME = "(?P<name>[^/]+)"
_ROUTES = tuple(
    (method, re.compile(rf"(?P<prefix>.*?)/{path}/?", re.IGNORECASE), operation)
    for method, path, operation in (
        ("POST", "(?P<earliest>python)/execute", Operation.EXECUTE),
        ("POST", "code/execute", Operation.EXECUTE),
        ("POST", "execute", Operation.EXECUTE),
        ("POST", "executions", Operation.EXECUTE),
        ("GET", f"executions/{_NAME}", Operation.GET_EXECUTION),
        ("POST", "files/upload", Operation.UPLOAD_FILE),
        ("POST", "files", Operation.UPLOAD_FILE),
        ("GET", f"files/content/{_NAME}", Operation.READ_FILE),
        ("GET", f"files/{_NAME}/content", Operation.READ_FILE),
        ("GET", "files", Operation.LIST_FILES),
        ("GET", f"files/{_NAME}", Operation.GET_FILE),
        ("DELETE", f"files/{_NAME}", Operation.DELETE_FILE),
        ("GET", "session", Operation.GET_SESSION),
        ("DELETE", "session", Operation.DELETE_SESSION),
        ("GET", "listSessions", Operation.LIST_SESSIONS),
        ("GET", "metadata", Operation.METADATA),
        ("POST", r"\.management/stopSession", Operation.MANAGE_STOP_SESSION),
        ("POST", r"\.management/getSession", Operation.MANAGE_GET_SESSION),
        ("POST", r"\.management/listSessions", Operation.MANAGE_LIST_SESSIONS),
    )
)


def raw_path(scope: Scope) -> str:
    """The path of a request as it was sent, quoted."""
    raw: object = scope.get("raw_path")
    return raw.decode("latin-1") if isinstance(raw, bytes) else quote(scope["path"])


def find_route(method: str, path: str) -> Route | None:
    """The operation of a request, or None if the service has no such one.

    Args:
        method: the HTTP method.
        path: as it was sent, quoted. Its case does not matter, except that of names.
    """
    for allowed, pattern, operation in _ROUTES:
        if method == allowed and (found := pattern.fullmatch(path)):
            named = found.groupdict()
            return Route(
                operation,
                unquote(named.get("name") or ""),
                found["prefix"],
                is_earliest="earliest" in named,
            )
    return None
