"""Hosts and models as they are, over pipes; ``http/test_matrix`` has the same over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.edges import EDGES
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from tests.support.calling import Caller

_OF_SOCKETS = {"loopback of the session works", "no network is a sentence"}
"""What sessions in WebAssembly exclude; that they say so is tested by the contract suite."""


@pytest.mark.parametrize("edge", sorted(EDGES.keys() - (_OF_SOCKETS if WASM else set())))
async def test_what_is_not_quite_as_it_should_be_is_understood(call: Caller, edge: str) -> None:
    await EDGES[edge](call)
