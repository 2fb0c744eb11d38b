"""Makes ``docs/hostile.md`` of what became of the hostile programs; ``scripts/hostile`` runs them.

    python scripts/hostile_table.py OUTCOMES [--write]

Exits with 1 if a program broke out, or the page has others than there are. Which stages there can
be depends on the machine, so figures are not compared.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.hostile.outcomes import Stage, read  # noqa: E402 -- from wherever this is started

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.hostile.outcomes import Count, Outcomes

PROGRAMS = ROOT / "tests" / "hostile"
PAGE = ROOT / "docs" / "hostile.md"
STAGES = [
    Stage(tier, by)
    for tier in ("namespaces", "landlock")
    for by in ("root", "root without groups", "user")
]

HEAD = """\
# Hostile programs

What was tried against the sandbox, by kind, and on which stages it held. Each program runs in a
session beside a neighbour with something to lose; afterwards the neighbour, the pool and the
session's successor must answer as if nothing had been.

Made by `scripts/hostile --write`, which runs all of them in both isolations, by a server of root
with control groups, by one without, and by one of a user who owns nothing. CI does the same. The
figures are programs that held; one that did not would stand here as broken. What holds and what
does not, in words: [SECURITY.md](../SECURITY.md).
"""


def programs_in(source: str) -> tuple[str, list[str]]:
    """The kind of a module's programs, and the names of their tests."""
    module = ast.parse(source)
    kind = (ast.get_docstring(module) or "").splitlines()[0]
    return kind, [
        node.name
        for node in module.body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        and node.name.startswith("test_")
    ]


def sentence(test: str) -> str:
    """A test as the page has it."""
    return test.removeprefix("test_").replace("_", " ").capitalize()


def modules() -> dict[str, tuple[str, list[str]]]:
    """Kind and tests of every module that has programs."""
    return {
        path.name: programs_in(path.read_text(encoding="utf-8"))
        for path in sorted(PROGRAMS.glob("test_*.py"))
    }


def page(outcomes: Outcomes) -> str:
    """The whole page."""
    parts = [HEAD]
    columns = " | ".join(f"{stage.tier}, {stage.by}" for stage in STAGES)
    for module, (kind, tests) in modules().items():
        rows = [
            f"| {sentence(test)} | {' | '.join(_cells(outcomes[module][test]))} |" for test in tests
        ]
        parts.append(
            f"## {kind}\n\n`tests/hostile/{module}`\n\n| Program | {columns} |\n"
            f"| --- |{' --- |' * len(STAGES)}\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def _cells(of_test: Mapping[Stage, Count]) -> list[str]:
    return [_cell(of_test.get(stage)) for stage in STAGES]


def _cell(count: Count | None) -> str:
    if count is None:
        return ""
    return f"**{count.broke} broken**" if count.broke else str(count.held)


def sentences_on(text: str) -> list[str]:
    """The programs that a page lists, in its order."""
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row not in {"Program", "---"}]


def main() -> int:
    made = page(read(Path(sys.argv[1])))
    if "--write" in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
    elif sentences_on(made) != sentences_on(PAGE.read_text(encoding="utf-8")):
        print("docs/hostile.md has other programs: scripts/hostile --write brings it up to date.")
        return 1
    if broken := [line for line in made.splitlines() if "broken**" in line]:
        print(*broken, sep="\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
