"""What a wasm pool is told when it is opened. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_MEMORY_BYTES = 2**32 - 2**16
"""What 32-bit WebAssembly can address, less one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmPoolConfiguration:
    """The options of one wasm pool."""

    cache_directory: Path
    """Where compiled code and memory images are kept from one start to the next."""
    preimport: tuple[str, ...]
    """Modules that every session has in memory already, where they exist."""
    ready_sessions: int
    max_concurrent_sessions: int
    cooldown_seconds: float
    max_timeout_seconds: float
    interrupt_grace_seconds: float
    memory_bytes: int
    disk_bytes: int
    max_output_bytes: int
    """Kept of each stream of one execution."""
    max_file_bytes: int
