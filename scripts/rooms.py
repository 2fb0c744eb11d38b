#!/usr/bin/env python
"""Prints the plan of the package from its imports: rooms, floors, arrows, and how long things are.

A room is a module or a package of the one that is looked at; an arrow leads from one that imports
to one that is imported; a room's floor is one above the highest room that it imports. With
``--check`` it fails where the plan is worse than the bounds in pyproject.toml (tool.rooms).

    .venv/bin/python scripts/rooms.py            the whole package, and server/
    .venv/bin/python scripts/rooms.py local      another room, arrow by arrow
"""

from __future__ import annotations

import ast
import statistics
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "aca_mcp"
Arrows = dict[str, set[str]]


@dataclass(frozen=True)
class Plan:
    """The rooms of one package."""

    arrows: Arrows
    """For each room, the rooms that it imports."""
    floors: dict[str, int]
    """From 1; rooms of a circle have none."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of what there are."""
        return {
            "rooms": len(self.arrows),
            "floors": max(self.floors.values(), default=0),
            "arrows": sum(map(len, self.arrows.values())),
            "in circles": len(self.arrows) - len(self.floors),
        }


@dataclass(frozen=True)
class Length:
    """A file or a function, and its lines."""

    lines: int
    name: str


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def plan_of(package: str) -> Plan:
    """Read the plan of a package from its imports, those for types alone included."""
    prefix = f"{package}."
    arrows: Arrows = {child.removeprefix(prefix): set() for child in graph().find_children(package)}
    for module in graph().modules:
        if not module.startswith(prefix):
            continue
        room = module.removeprefix(prefix).partition(".")[0]
        for imported in graph().find_modules_directly_imported_by(module):
            other = imported.removeprefix(prefix).partition(".")[0]
            if imported.startswith(prefix) and other != room:
                arrows[room].add(other)
    floors: dict[str, int] = {}
    while ready := [
        room for room, others in arrows.items() if room not in floors and others <= floors.keys()
    ]:
        floors |= {
            room: 1 + max((floors[each] for each in arrows[room]), default=0) for room in ready
        }
    return Plan(arrows, floors)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def files(folder: str) -> list[Length]:
    return [
        Length(len(path.read_text().splitlines()), str(path.relative_to(ROOT)))
        for path in sources(folder)
    ]


def functions(folder: str) -> list[Length]:
    found: list[Length] = []
    for path in sources(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append(Length(lines, f"{path.relative_to(ROOT)}: {node.name}"))
    return found


def said(lengths: list[Length]) -> str:
    longest = max(lengths, key=lambda each: each.lines)
    median = statistics.median(each.lines for each in lengths)
    return f"median {median:.0f}, longest {longest.lines} ({longest.name})"


def show(package: str, *, arrows: bool) -> None:
    plan = plan_of(package)
    counts = ", ".join(f"{count} {what}" for what, count in plan.counts.items())
    print(f"\n{package}: {counts}")
    for floor in range(plan.counts["floors"], 0, -1):
        rooms = sorted(room for room, at in plan.floors.items() if at == floor)
        print(f"  {floor:2}  {'  '.join(rooms)}")
    if circle := sorted(plan.arrows.keys() - plan.floors.keys()):
        print(f"   ○  {'  '.join(circle)}")
    if arrows:
        for room, others in sorted(plan.arrows.items()):
            print(f"      {room} → {', '.join(sorted(others)) or 'nothing'}")


def measured() -> dict[str, int]:
    """What has a bound, by the names that pyproject.toml uses."""
    everything, server = plan_of(PACKAGE).counts, plan_of(f"{PACKAGE}.server").counts
    return {
        "floors": everything["floors"],
        "circles": sum(
            plan_of(package).counts["in circles"]
            for package in [PACKAGE, *(f"{PACKAGE}.{child}" for child in plan_of(PACKAGE).arrows)]
        ),
        "server-rooms": server["rooms"],
        "server-floors": server["floors"],
        "server-arrows": server["arrows"],
        "longest-file": max(each.lines for each in files(PACKAGE)),
        "longest-function": max(each.lines for each in functions(PACKAGE)),
    }


def check() -> int:
    bounds = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["rooms"]
    values = measured()
    worse = {name: value for name, value in values.items() if value > bounds[name]}
    for name, value in worse.items():
        print(f"{name} is {value}, and may be {bounds[name]} (pyproject.toml, tool.rooms)")
    return 1 if worse else 0


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        return check()
    if arguments:
        show(f"{PACKAGE}.{arguments[0]}", arrows=True)
        return 0
    show(PACKAGE, arrows=False)
    show(f"{PACKAGE}.server", arrows=False)
    print()
    for folder in (PACKAGE, "tests"):
        lengths = files(folder)
        print(f"{folder}: {len(lengths)} files, {sum(each.lines for each in lengths):,} lines")
        print(f"  files: {said(lengths)}")
        print(f"  functions: {said(functions(folder))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
