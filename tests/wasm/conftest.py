"""Most of these tests need the compiled interpreter; `scripts/wasm` makes it and runs them."""

from __future__ import annotations

from tests.wasm.pools import WASM

_COMPILED = ("first_start", "foreign_systems", "hostile", "packages", "pool")

collect_ignore = [] if WASM else [f"test_{name}.py" for name in _COMPILED]
