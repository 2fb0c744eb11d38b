"""What a wasm pool is told when it is opened. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration

if TYPE_CHECKING:
    from pathlib import Path

MAX_MEMORY_BYTES = 2**32 - 2**16
"""What 32-bit WebAssembly can address, less one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmPoolConfiguration(EmbeddedPoolConfiguration):
    """The options of one wasm pool."""

    cache_directory: Path
    """Where compiled code and memory images are kept from one start to the next."""
    second_ring: bool
    """Hold a session's process by what the system has, too."""
