"""Prints ``docs/hostile.md``, made from the hostile tests; ``--write`` puts it there."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "hostile"
PAGE = ROOT / "docs" / "hostile.md"

HEAD = """\
# Hostile programs

What is tried against the sandbox, by kind. Each program runs in a session beside a neighbour with
something to lose; afterwards the neighbour, the pool and the session's successor must answer as if
nothing had been. CI runs all of them as root in both isolations, with control groups and without,
and those marked "as a user" again as a user who owns nothing.

Made by `scripts/hostile_table.py` from `tests/hostile`. What holds and what does not, with figures:
[SECURITY.md](../SECURITY.md).
"""


@dataclass(frozen=True, slots=True)
class Program:
    """One hostile test."""

    sentence: str
    as_user: bool


def programs_in(source: str) -> tuple[str, list[Program]]:
    """The kind of a module's programs, and those that are tried in a session of a pool."""
    module = ast.parse(source)
    kind = (ast.get_docstring(module) or "").splitlines()[0]
    found = [
        Program(
            node.name.removeprefix("test_").replace("_", " ").capitalize(),
            any("key_attack" in ast.unparse(decorator) for decorator in node.decorator_list),
        )
        for node in module.body
        if isinstance(node, ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and any(argument.arg == "arena" for argument in node.args.args)
    ]
    return kind, found


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path in sorted(PROGRAMS.glob("test_*.py")):
        kind, programs = programs_in(path.read_text(encoding="utf-8"))
        if programs:
            rows = [
                f"| {program.sentence} | {'yes' if program.as_user else ''} |"
                for program in programs
            ]
            parts.append(
                f"## {kind}\n\n`tests/hostile/{path.name}`\n\n| Program | As a user |\n"
                "| --- | --- |\n" + "\n".join(rows) + "\n"
            )
    return "\n".join(parts)


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
