"""What a user can choose about an emulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aca_mcp.emulator.access import Access
from aca_mcp.emulator.faults import Faults
from aca_mcp.emulator.service_errors import MAX_FILE_BYTES

if TYPE_CHECKING:
    from typing import TextIO


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """Of one emulator; by default it is as the service is, and takes any token on loopback."""

    access: Access = field(default_factory=Access)
    faults: Faults = field(default_factory=Faults)
    max_concurrent_sessions: int = 20
    """As the pool has it; said when it is full."""
    pool_type: Literal["python", "shell"] = "python"
    """What sessions of the emulated pool run."""
    record: TextIO | None = None
    """Gets a line for each exchange, without contents."""
    page_sessions: int = 300
    """How many sessions a list has at once."""
    max_file_bytes: int = MAX_FILE_BYTES
    """Of a file that clients may send: the service's own bound."""

    @property
    def is_shell(self) -> bool:
        """Sessions have a shell and no Python."""
        return self.pool_type == "shell"
