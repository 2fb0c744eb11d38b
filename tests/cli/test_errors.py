"""The boundary where errors leave the command line."""

from __future__ import annotations

import pytest

from aca_mcp.cli.errors import error_in
from aca_mcp.errors import PoolFullError


def test_an_error_of_the_tree_is_what_it_is() -> None:
    error = PoolFullError("full")
    assert error_in(error) is error


def test_task_groups_around_an_error_are_seen_through() -> None:
    error = PoolFullError("full")
    assert error_in(ExceptionGroup("outer", [ExceptionGroup("inner", [error])])) is error


def test_anything_else_is_a_fault_and_keeps_its_traceback() -> None:
    fault = ExceptionGroup("outer", [ValueError("a fault")])
    with pytest.raises(ExceptionGroup) as raised:
        error_in(fault)
    assert raised.value is fault
