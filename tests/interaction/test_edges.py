"""Hosts and models as they are, over pipes; ``http/test_matrix`` has the same over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.edges import EDGES

if TYPE_CHECKING:
    from tests.support.calling import Caller


@pytest.mark.parametrize("edge", EDGES)
async def test_what_is_not_quite_as_it_should_be_is_understood(call: Caller, edge: str) -> None:
    await EDGES[edge](call)
