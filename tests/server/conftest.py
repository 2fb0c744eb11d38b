"""A client of a server over a pool in this process, in both protocol eras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connecting import connected

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from aca_mcp.pool import SessionPool
    from tests.support.calling import Caller
    from tests.support.connecting import Connect
    from tests.support.toy_pool import ToyPool


@pytest.fixture(params=["legacy", "2026-07-28"])
def connect(request: pytest.FixtureRequest, toy_pool: ToyPool) -> Connect:
    """Connects a client to a server over the toy pool, unless told of another."""

    def to_pool(
        pool: SessionPool = toy_pool, **options: Any
    ) -> AbstractAsyncContextManager[Caller]:
        return connected(pool, era=request.param, **options)

    return to_pool
