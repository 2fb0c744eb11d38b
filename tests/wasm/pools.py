"""A wasm pool for tests."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from aca_mcp.pools import wasm_configuration as configuration_from
from aca_mcp.settings import load_settings

if TYPE_CHECKING:
    from aca_mcp.wasm.configuration import WasmPoolConfiguration

WASM = "WASM" in os.environ
"""What these tests need was compiled: `scripts/wasm` does that, and then runs them."""


def wasm_configuration(**changes: object) -> WasmPoolConfiguration:
    """As by default, in the cache of whoever runs the tests: compiling takes minutes."""
    configuration = configuration_from(load_settings({"pool": "wasm"}))
    return replace(configuration, **changes)  # pyright: ignore[reportArgumentType] -- named as the fields
