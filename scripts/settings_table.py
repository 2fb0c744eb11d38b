"""Prints the table of docs/settings.md, made from ``Settings``; ``--write`` puts it there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

from aca_mcp.settings import Settings, describe_default, variable_name

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def settings_table() -> str:
    """One row for each setting, in the order of the class."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for field, info in Settings.model_fields.items():
        default = describe_default(field).replace(",", ", ")
        shown = default if default == "unset" else f"`{default}`"
        choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        allowed = (
            " One of " + ", ".join(f"`{choice}`" for choice in choices) + "." if choices else ""
        )
        rows.append(f"| `{variable_name(field)}` | {shown} | {info.description}{allowed} |")
    return "\n".join(rows) + "\n"


def table_in(page: str) -> str:
    """The table that the page has between its markers."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        print(settings_table(), end="")
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + settings_table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
