"""Most of these tests need the compiled interpreter; `scripts/wasm` makes it and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local.pools import new_identifier
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aca_mcp.wasm.pool import WasmSessionPool

_COMPILED = ("first_start", "foreign_systems", "hostile", "packages", "pool")

collect_ignore = [] if WASM else [f"test_{name}.py" for name in _COMPILED]


@pytest.fixture
async def identifier(pool: WasmSessionPool) -> AsyncIterator[str]:
    """A session of the test's own, ended after it."""
    made = new_identifier()
    yield made
    await pool.stop_session(made)
