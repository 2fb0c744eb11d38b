"""The kernel's own numbers of system calls, for both architectures."""

from __future__ import annotations

from pathlib import Path


def read_table() -> dict[str, tuple[int, int]]:
    """``(x86_64, aarch64)`` by name; -1 where an architecture has no such call."""
    text = Path(__file__).with_name("system_calls.txt").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: (int(x86), int(arm)) for name, x86, arm in rows}


KERNEL_CALLS = read_table()
