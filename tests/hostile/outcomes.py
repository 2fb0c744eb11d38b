"""How hostile programs ended, written down as they do, to be put together as a page."""

from __future__ import annotations

import functools
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aca_mcp.local.cgroups import find_groups

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a program was tried."""

    tier: str
    """The isolation."""
    by: str
    """Who ran the server: ``root``, ``root without groups`` or ``user``."""


@dataclass(slots=True)
class Count:
    """Of one kind of programs on one stage."""

    held: int = 0
    broke: int = 0


Outcomes = dict[str, dict[str, dict[Stage, Count]]]
"""By module, by the name of the test."""


def note(directory: Path, item: pytest.Function, *, passed: bool) -> None:
    """Add one outcome to this process's file."""
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    outcome = {
        "program": item.nodeid,
        "module": item.path.name,
        "test": item.originalname,
        # Those without a pool of each isolation open one of the strongest that there is.
        "tier": parameters.get("arena", parameters.get("pool", "namespaces")),
        "by": _whose(),
        "passed": passed,
    }
    with (directory / f"{os.getuid()}-{os.getpid()}.jsonl").open("a", encoding="ascii") as file:
        file.write(json.dumps(outcome) + "\n")


@functools.cache
def _whose() -> str:
    if os.getuid() != 0:
        return "user"
    return "root" if find_groups() is not None else "root without groups"


def read(directory: Path) -> Outcomes:
    """All that was written into a directory."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for file in sorted(directory.glob("*.jsonl")):
        for line in file.read_text(encoding="ascii").splitlines():
            each = json.loads(line)
            last[each["program"], each["by"]] = each  # a program may have been tried once more
    found: Outcomes = defaultdict(lambda: defaultdict(lambda: defaultdict(Count)))
    for each in last.values():
        count = found[each["module"]][each["test"]][Stage(each["tier"], each["by"])]
        if each["passed"]:
            count.held += 1
        else:
            count.broke += 1
    return found
