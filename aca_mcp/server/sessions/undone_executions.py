"""Which executions a rollback has taken back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from aca_mcp.execution import first_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aca_mcp.execution import Rollback


class Undoable(Protocol):
    """An execution, as far as this needs to know it."""

    @property
    def code(self) -> str:
        """What ran."""
        ...

    @property
    def is_undone(self) -> bool:
        """An earlier rollback has taken it back."""
        ...


UndoableT = TypeVar("UndoableT", bound=Undoable)


def taken_back(executions: Iterable[UndoableT], rollback: Rollback) -> list[UndoableT]:
    """Those whose effects on variables are gone by it.

    Args:
        executions: of one session that are known, oldest first. Some that the pool has counted
            may be missing: those that were cancelled are not kept.
        rollback: of the same session, after all of them.
    """
    counted = [each for each in executions if not each.is_undone][-rollback.executions :]
    if not rollback.begins:
        return counted
    for position, each in enumerate(counted):
        if first_line(each.code) == rollback.begins:
            return counted[position:]
    return []
