"""Which limit an error of code has met, with the figure and the setting. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aca_mcp.pool import ExecutionError

_BEYOND_ADDRESSES = "Maximum allowed dimension exceeded"
"""What numpy says of arrays with more bytes than 32 bits can count."""
_FILE_TOO_LARGE = "File too large"
_DISK_IS_FULL = "No space left on device"
# In words, since numbers of errors are other ones in WebAssembly.


def with_hint(error: ExecutionError, memory_bytes: int, disk_bytes: int) -> ExecutionError:
    """An error that may come of a limit, with what to do.

    Args:
        error: of code.
        memory_bytes: what a session may have.
        disk_bytes: the same for its files.
    """
    if error.hint:
        return error
    if error.name == "MemoryError" or error.message.startswith(_BEYOND_ADDRESSES):
        hint = (
            f"A session in WebAssembly has at most {memory_bytes // 2**20:,} MiB of memory "
            "(ACA_MCP_LOCAL_MEMORY_MIB; never more than 4 GiB). Work on parts, or on smaller types."
        )
    elif _FILE_TOO_LARGE in error.message:
        hint = (
            f"The session's files may have {disk_bytes // 2**20:,} MiB together "
            "(ACA_MCP_LOCAL_DISK_MIB), and one of them no more than that. Delete what is not "
            "needed, or write less."
        )
    elif _DISK_IS_FULL in error.message:
        hint = (
            "The disk of the machine is full, though the session's files may have "
            f"{disk_bytes // 2**20:,} MiB (ACA_MCP_LOCAL_DISK_MIB). Delete what is not needed."
        )
    else:
        return error
    return error._replace(hint=hint)
