"""Most of these tests need the compiled interpreter; `scripts/wasm` makes it and runs them."""

from __future__ import annotations

from tests.wasm.pools import WASM

collect_ignore = [] if WASM else ["test_pool.py", "test_hostile.py"]
