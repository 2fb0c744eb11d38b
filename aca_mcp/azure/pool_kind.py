"""What an Azure pool's sessions run, by what the pool tells of itself. Pure."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from aca_mcp.errors import NotSupportedError

if TYPE_CHECKING:
    from aca_mcp.azure.responses import MetadataResponse

CREATE_PYTHON_POOL = "Create a pool with --container-type PythonLTS, and set its endpoint."


class PoolKind(enum.Enum):
    """The service's container types, as far as they make a difference here."""

    PYTHON = "a Python pool"
    SHELL = "a Shell pool"
    NODE = "a NodeLTS pool"
    OTHER = "a pool that does not run Python"
    UNKNOWN = "a pool that does not tell what it runs"


def kind_of(metadata: MetadataResponse) -> PoolKind:
    """What the runtimes that a pool names amount to."""
    names = [runtime.name.lower() for runtime in metadata.runtimes if runtime.name]
    if not names:
        return PoolKind.UNKNOWN
    for word, kind in _WORDS:
        if any(word in name for name in names):
            return kind
    return PoolKind.OTHER


_WORDS = (
    ("python", PoolKind.PYTHON),
    ("node", PoolKind.NODE),
    ("javascript", PoolKind.NODE),
    ("shell", PoolKind.SHELL),
    ("bash", PoolKind.SHELL),
)


def refuse(kind: PoolKind) -> NotSupportedError:
    """The error for code that was sent to a pool which runs something else."""
    return NotSupportedError(
        f"ACA_MCP_POOL_MANAGEMENT_ENDPOINT names {kind.value}, which does not run Python. "
        f"{CREATE_PYTHON_POOL}"
    )
