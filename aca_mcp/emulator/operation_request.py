"""A request that is known to be one of the service's, as the operations see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from aca_mcp.emulator.emulated_sessions import EmulatedSession
    from aca_mcp.emulator.routes import Dialect, Route


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """An operation with all that it is asked by, but for a file's content."""

    http: Request
    route: Route
    version: str
    dialect: Dialect
    """In which it is asked, and to be answered."""
    session: EmulatedSession
    """The one that it names; for operations on the pool, one that is none."""
    base_url: str
    """Where the pool is for this client."""
    query: Mapping[str, str]
    """By names in small letters: their case does not matter."""
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    """Of an execution's body."""


def query_of(request: Request) -> dict[str, str]:
    """The query's parameters by their names in small letters; of several, the first."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name.lower(), value)
    return found
