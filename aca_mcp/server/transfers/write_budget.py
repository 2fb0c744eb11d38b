"""What may still be written into the host's work directory."""

from __future__ import annotations

from dataclasses import dataclass

from aca_mcp.server.transfers.host_names import refuse

_MAX_FILES_WRITTEN = 10_000


@dataclass(slots=True)
class WriteBudget:
    """What may still be written there while this server runs."""

    bytes_left: int
    max_bytes: int
    files_left: int = _MAX_FILES_WRITTEN

    def take(self, path: str, amount: int) -> None:
        """Count bytes before they are written.

        Raises:
            HostPathRefusedError: it would be more than may be written.
        """
        self.bytes_left -= amount
        if self.bytes_left < 0:
            refuse(
                path,
                f"more than {self.max_bytes >> 20:,} MiB would have been copied into the work "
                "directory since this server started. The user can raise "
                "ACA_MCP_WORK_DIR_MAX_MIB, or restart the server",
            )

    def take_file(self, path: str) -> None:
        """Count a file before it is written.

        Raises:
            HostPathRefusedError: it would be more than may be written.
        """
        self.files_left -= 1
        if self.files_left < 0:
            refuse(
                path,
                f"{_MAX_FILES_WRITTEN:,} files have been copied into the work directory since this "
                "server started, which is the most. Pack many files into one archive",
            )
