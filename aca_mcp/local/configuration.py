"""What a local pool is told when it is opened. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration

SCRATCH_BYTES = 256 * 2**20
"""Of ``/tmp``, and again of ``/dev/shm``, of one session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPoolConfiguration(EmbeddedPoolConfiguration):
    """The options of one local pool."""

    python: str
    """Path of the interpreter whose packages sessions have."""
    package_sets: str = ""
    """The directory below which sets of packages appear that sessions may read, if there is one."""
    isolation: Literal["auto", "namespaces", "landlock", "unsafe-none"]
    network: bool
    max_processes: int
    max_threads: int
