"""What every pool of this machine is told. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from aca_mcp.execution import MAX_IMAGE_SIDE
from aca_mcp.pool import SessionLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPoolConfiguration:
    """The options of one pool."""

    preimport: tuple[str, ...]
    """Modules that every session has in memory already, where they exist."""
    ready_sessions: int
    max_concurrent_sessions: int
    cooldown_seconds: float
    max_timeout_seconds: float
    interrupt_grace_seconds: float
    memory_bytes: int
    disk_bytes: int
    checkpoints: int
    """How many executions of a session can be undone; 0 for no checkpoints."""
    max_output_bytes: int
    """Kept of each stream of one execution."""
    max_file_bytes: int
    max_image_side: int = MAX_IMAGE_SIDE
    """Pixels of the longer side of an image that an execution shows."""

    @property
    def limits(self) -> SessionLimits:
        """Of one session, as the pool tells them."""
        return SessionLimits(
            memory_bytes=self.memory_bytes,
            disk_bytes=self.disk_bytes,
            output_bytes=self.max_output_bytes,
            idle_seconds=self.cooldown_seconds,
        )
