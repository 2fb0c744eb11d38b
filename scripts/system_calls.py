"""Writes ``tests/sandbox/system_calls.txt`` from the kernel's headers.

``python scripts/system_calls.py X86_HEADER ARM_HEADER``: the files ``asm/unistd_64.h`` of the two
architectures, as ``make headers_install`` of a Linux tree puts them
(``usr/include/asm/unistd_64.h``).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "tests" / "sandbox" / "system_calls.txt"
HEAD = (
    "# name, number on x86_64, number on aarch64, -1 where there is none\n"
    "# written by scripts/system_calls.py from the kernel's headers\n"
)


def numbers_in(header: str) -> dict[str, int]:
    """Number by name, from the text of a header."""
    found = re.findall(r"^#define __NR_(\w+)\s+(\d+)\s*$", header, re.MULTILINE)
    return {name: int(number) for name, number in found if name != "syscalls"}


def main() -> None:
    x86, arm = (numbers_in(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    lines = [f"{name} {x86.get(name, -1)} {arm.get(name, -1)}" for name in sorted({**x86, **arm})]
    TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
