"""Which executions a rollback has taken back."""

from __future__ import annotations

import pytest

from aca_mcp.pool import Rollback
from aca_mcp.server.sessions.execution_store import Record
from aca_mcp.server.sessions.undone_executions import taken_back
from tests.support.executions import executed


def record(number: int, code: str, *, is_undone: bool = False) -> Record:
    return Record(f"execution-{number}", code, executed(), is_undone)


KNOWN = [record(1, "a"), record(2, "b", is_undone=True), record(3, "c\nd"), record(4, "a")]


@pytest.mark.parametrize(
    ("count", "begins", "expected"),
    [
        (1, "a", [4]),
        (2, "c ...", [3, 4]),
        (3, "a", [1, 3, 4]),
        (3, "", [1, 3, 4]),
        (9, "a", [1, 3, 4]),
        (3, "c ...", [3, 4]),
        (1, "cancelled()", []),
    ],
)
def test_the_last_ones_are_that_are_known_and_were_not_taken_back_before(
    count: int, begins: str, expected: list[int]
) -> None:
    back = taken_back(KNOWN, Rollback("it was asked for", count, begins))
    assert [each.id for each in back] == [f"execution-{number}" for number in expected]
