"""Prompts that a person picks from a menu. Each is useful as it is."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, ParamSpec

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server import MCPServer

_P = ParamSpec("_P")
Path = Annotated[str, Field(description="A file, such as sales.csv.")]


def analyse_file(path: Path, question: str = "") -> str:
    """Look at a data file and say what is in it."""
    asked = f"Then answer this: {question}" if question else "Then tell what is worth knowing."
    return (
        f"Analyse the file {path} in the Python session.\n"
        "1. Load it with pandas; show its shape, its columns with types, and a few rows.\n"
        "2. Check it: missing values, duplicates, columns of the wrong type, implausible values. "
        "Say what you found before you use the data.\n"
        f"3. {asked} Support it with the numbers or one figure, and say what the data cannot tell."
    )


def plot_file(path: Path, what: str = "") -> str:
    """Make one good figure of a data file."""
    shown = what or "what is most worth seeing in it"
    return (
        f"Plot {shown}, from the file {path} in the Python session.\n"
        "Look at the data first. Make one matplotlib figure: a title that says what is to be seen, "
        "axes with units, a legend only where there are several series, no more than six colours. "
        "Save it as a PNG of 150 dpi next to the file as well, and say under which name."
    )


def clean_table(path: Path) -> str:
    """Clean a table, and write the result beside it."""
    return (
        f"Clean the table {path} in the Python session.\n"
        "Load it as text first. Find out what is wrong: names of columns, types, dates, decimal "
        "marks, missing values written as words, duplicates, spaces. Tell what you are going to "
        "change and why, then change it. Do not drop rows without saying how many and which. "
        "Write the result beside it with _clean before the suffix, read it again, and compare "
        "shapes and sums with the original."
    )


def write_report(path: Path) -> str:
    """Turn an analysis of a data file into a report with figures."""
    return (
        f"Write a report on the file {path}, as Markdown with figures, in the Python session.\n"
        "Analyse first, step by step. Then write report.md: what the data is, the three findings "
        "that matter most with a figure each (PNG files beside it), how they were reached, and "
        "what remains uncertain. Show the report when it is done."
    )


def add_prompts(server: MCPServer[object], *, has_work_dir: bool) -> None:
    """Give a server all of them.

    Args:
        server: the server.
        has_work_dir: a file that is named may be the user's own.
    """
    titles = {
        analyse_file: "Analyse a file",
        plot_file: "Plot a file",
        clean_table: "Clean a table",
        write_report: "Write a report",
    }
    for prompt, title in titles.items():
        server.prompt(title=title)(_with_copies(prompt) if has_work_dir else prompt)


def _with_copies(prompt: Callable[_P, str]) -> Callable[_P, str]:
    """The prompt with what to do about the user's directory before and after it."""

    @functools.wraps(prompt)
    def asked(*arguments: _P.args, **named: _P.kwargs) -> str:
        return (
            f"{prompt(*arguments, **named)}\n"
            "If the session does not have the file, upload_from_work_dir copies it from the user's "
            "work directory; at the end, download_to_work_dir copies there what you wrote."
        )

    return asked
