"""Which environment sessions have where they name none, and which they can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.environments.definitions import summary_of
from aca_mcp.pool import EnvironmentSummary

if TYPE_CHECKING:
    from aca_mcp.environments.store import EnvironmentStore

FIRST = "minimal"
"""Which is made where there is none at all: the quickest."""
_PREFERRED = ("data", "minimal")
"""Which is taken where no setting names one: the first that is there."""


def default_environment(store: EnvironmentStore, chosen: str) -> str:
    """Of sessions that name none. It need not be there.

    Args:
        store: the environments that are there.
        chosen: what a setting names; empty if none does.
    """
    return chosen or next(filter(store.find, _PREFERRED), FIRST)


def environment_summaries(store: EnvironmentStore, default: str) -> tuple[EnvironmentSummary, ...]:
    """Of those that sessions can have, the default one first."""
    found = filter(None, map(store.find, store.names()))
    return tuple(
        EnvironmentSummary(each.name, summary_of(each.name, each.record.requirements))
        for each in sorted(found, key=lambda each: each.name != default)
    )
