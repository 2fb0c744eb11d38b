"""Prints the README's table of settings, made from ``Settings``; ``--write`` puts it there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, get_args, get_origin

from aca_mcp.settings import Settings, describe_default, variable_name

README = Path(__file__).parent.parent / "README.md"
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


def table_in(readme: str) -> str:
    """The table that a README has between its markers."""
    return readme.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        print(settings_table(), end="")
        return
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(before + BEGIN + settings_table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
