"""What the tools of a server have in common: what its user chose, and types of their signatures.

Those become schemas, which are part of every prompt.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from mcp.server.mcpserver import Context
from pydantic import Field

from aca_mcp.missing_modules import NOTHING, PackageOffer
from aca_mcp.pool import MAX_IMAGE_SIDE, EnvironmentSummary

# Described once, by start_session and the instructions: the list of tools takes room in a prompt.
SessionHandle = str
Ctx = Context[Any]
TimeoutSeconds = Annotated[
    float,
    Field(
        ge=0,
        description="0: the default; in the background the longest there is.",
    ),
]

ResultLinks = Literal["auto", "always", "never"]
MAX_TEXT_BYTES = 450_000
"""Of text in one result, whatever is set: escaped as JSON it may be twice as long."""


class ServerOptions(NamedTuple):
    """What a user can choose about the server."""

    execution_timeout_seconds: float = 60
    """For executions whose call says nothing else."""
    max_timeout_seconds: float = 600
    """The longest that a call can ask for."""
    max_result_tokens: int = 10_000
    """Text of one result, in tokens of about 4 bytes."""
    max_image_side: int = MAX_IMAGE_SIDE
    """Pixels of the longer side of an image in a result."""
    work_dir: Path | None = None
    """The host directory whose files a model may copy, or None for none."""
    result_links: ResultLinks = "auto"
    """Whether results have links to the files that code wrote, beside their names."""
    work_dir_max_bytes: int = 1 << 30
    """How much may be copied there while the server runs."""
    runs: Literal["python", "shell"] = "python"
    """What sessions are, as ``PoolMetadata.runs`` has it."""
    has_processes: bool = True
    """Code can start commands and threads, which no pool tells before it is asked."""
    environments: tuple[EnvironmentSummary, ...] = ()
    """What sessions can be started with, where there is a choice."""
    packages: PackageOffer = NOTHING
    """Which further packages sessions may get that run Python."""
    task_after_seconds: float = 5
    """What ends sooner is answered at once, also where the client takes tasks."""
    heartbeat_seconds: float = 10
    """From one progress notification to the next while code prints nothing."""

    @property
    def max_text_bytes(self) -> int:
        """Text of one result, at most."""
        return min(self.max_result_tokens * 4, MAX_TEXT_BYTES)

    @property
    def offer(self) -> PackageOffer:
        """Which further packages sessions may get."""
        return self.packages if self.runs == "python" else NOTHING
