"""The policy of a sandbox that holds nothing, for tests to begin with."""

from __future__ import annotations

from aca_mcp.sandbox.policy import Isolation, SandboxPolicy

UNSAFE = SandboxPolicy(
    isolation=Isolation.UNSAFE_NONE,
    network=False,
    memory_bytes=2**30,
    disk_bytes=2**24,
    scratch_bytes=2**23,
    max_tasks=64,
    readable=(),
)
