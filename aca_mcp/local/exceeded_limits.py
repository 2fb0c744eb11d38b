"""What a session may use, and the sentence for one that uses more. Pure.

Each names the figure, the limit and the setting, as do the hints for code that met a limit as an
ordinary error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.sandbox.limits import MAX_OPEN_FILES

if TYPE_CHECKING:
    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.usage import Usage
    from aca_mcp.pool import ExecutionError

_DISK_IS_FULL = ("[Errno 28]", "[Errno 122]")
MAX_CHANNELS = 1024
"""Sockets and pipes. What lies in them is memory that no process is said to have."""
MAX_MAPPINGS = 2**19
"""What each takes of the kernel's memory is said to be no process's either."""
MAX_EVENT_QUEUES = 128
"""What they watch is counted per user, and may be the server's user."""

_MEBIBYTE = 2**20


class Limits(NamedTuple):
    """What one session may use at once."""

    memory_bytes: int
    disk_bytes: int
    processes: int
    threads: int
    checkpoints: int = 0
    """Executions that can be undone; 0 for none."""

    def memory(self, used: int | None = None) -> str:
        """A clause for a session that used more memory than it may."""
        figure = "" if used is None else f"{-(-used // _MEBIBYTE):,} MiB of memory, "
        return (
            f"it used {figure}more than its limit of {self.memory_bytes // _MEBIBYTE:,} MiB "
            f"{'' if figure else 'of memory '}(ACA_MCP_LOCAL_MEMORY_MIB)"
        )

    def disk(self, used: float) -> str:
        """A clause for a session that used more of the host's disk than it may."""
        figure = f"{used / _MEBIBYTE:,.0f} MiB of disk" if used < 2**62 else "too many files"
        return (
            f"it used {figure}, more than its limit of {self.disk_bytes // _MEBIBYTE:,} MiB of "
            "disk (ACA_MCP_LOCAL_DISK_MIB)"
        )


def too_many_mappings(found: int) -> str | None:
    """A clause for a session whose memory is in too many pieces; else None."""
    if found <= MAX_MAPPINGS:
        return None
    return f"its memory was in more than {MAX_MAPPINGS:,} mappings, which is the limit"


def limits_of(configuration: LocalPoolConfiguration) -> Limits:
    """The limits of a pool's sessions."""
    return Limits(
        configuration.memory_bytes,
        configuration.disk_bytes,
        configuration.max_processes,
        configuration.max_threads,
        configuration.checkpoints,
    )


def too_many(usage: Usage, limits: Limits) -> str | None:
    """Of what a session may have a number of, what it has too many of, as a clause; else None."""
    if usage.processes > limits.processes:
        return (
            f"it had {usage.processes:,} processes at once, more than its limit of "
            f"{limits.processes:,} (ACA_MCP_LOCAL_MAX_PROCESSES)"
        )
    if usage.channels > MAX_CHANNELS:
        return (
            f"it had {usage.channels:,} sockets and pipes open at once, more than the limit of "
            f"{MAX_CHANNELS:,}"
        )
    if usage.event_queues > MAX_EVENT_QUEUES:
        return (
            f"it had {usage.event_queues:,} epoll instances at once, more than the limit of "
            f"{MAX_EVENT_QUEUES:,}"
        )
    return None


def is_of_full_disk(error: ExecutionError) -> bool:
    """Whether code was told that there is no room for what it wrote."""
    return any(number in error.message for number in _DISK_IS_FULL)


def with_hint(error: ExecutionError, limits: Limits, largest: str = "") -> ExecutionError:
    """An error of code, with the limit that it met if it met one.

    Args:
        error: of the code.
        limits: of its session.
        largest: what fills its work directory, where that is full.
    """
    hint = _hint(error, limits, largest)
    if hint is None:
        return error
    return error._replace(
        message=f"{error.message} [{hint}]", traceback=f"{error.traceback}\n[{hint}]"
    )


def _hint(error: ExecutionError, limits: Limits, largest: str) -> str | None:
    message = error.message
    if error.name == "MemoryError" or "[Errno 12]" in message or "Unable to allocate" in message:
        return (
            f"The session may use {limits.memory_bytes // _MEBIBYTE:,} MiB of memory: "
            "ACA_MCP_LOCAL_MEMORY_MIB."
        )
    if is_of_full_disk(error):
        filled = f"; the largest files there are {largest}" if largest else ""
        return (
            f"The session's work directory holds {limits.disk_bytes // _MEBIBYTE:,} MiB "
            f"(ACA_MCP_LOCAL_DISK_MIB), and its temporary directory 256 MiB{filled}. Delete what "
            "is not needed, as `!du -ah /mnt/data /tmp | sort -h | tail` shows it."
        )
    if "[Errno 27]" in message:
        return (
            f"A file of the session may have {limits.disk_bytes // _MEBIBYTE:,} MiB: "
            "ACA_MCP_LOCAL_DISK_MIB."
        )
    if "can't start new thread" in message or "[Errno 11]" in message:
        return (
            f"The session may have {limits.processes:,} processes (ACA_MCP_LOCAL_MAX_PROCESSES) "
            f"and {limits.threads:,} threads (ACA_MCP_LOCAL_MAX_THREADS)."
        )
    if "[Errno 24]" in message:
        return f"A process of the session may have {MAX_OPEN_FILES} files open at once."
    return None
