"""Prints the table of docs/emulator.md, made from the catalogue; ``--write`` puts it there."""

from __future__ import annotations

import sys
from pathlib import Path

from aca_mcp.azure.verification import NOT_ASKED
from aca_mcp.emulator.behaviour_catalogue import CATALOGUE

PAGE = Path(__file__).parent.parent / "docs" / "emulator.md"
BEGIN, END = "<!-- catalogue: begin -->\n", "<!-- catalogue: end -->\n"


def catalogue_table() -> str:
    """One row for each behaviour."""
    rows = ["| Name | What | Known by | Asked |", "| --- | --- | --- | --- |"]
    for each in CATALOGUE:
        asked = f"no: {why}" if (why := NOT_ASKED.get(each.name)) else "yes"
        rows.append(f"| `{each.name}` | {each.what} | {each.evidence} | {asked} |")
    return "\n".join(rows) + "\n"


def table_in(page: str) -> str:
    """The table that the page has between its markers."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        print(catalogue_table(), end="")
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + catalogue_table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
