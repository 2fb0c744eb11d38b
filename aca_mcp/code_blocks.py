"""Code as models write it: blocks with the name of a language, and what they import. Pure."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_PYTHON = frozenset({"", "py", "python", "python3", "ipython"})
_FENCED = re.compile(
    r"\s*(?P<fence>```+|~~~+)"
    # With what documents add to the name: ```{python}, ``` {.python .numberLines}, ```py title=x.
    r"(?:[ \t]*\{?[ \t.]*(?:python3?|py3?|ipython3?|tool_code)\b[^\n]*|[ \t]*)\n"
    r"(?P<code>.*?)(?:\r?\n?[ \t]*(?P=fence)\s*)?",
    re.DOTALL | re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_IPYTHON_ALONE = re.compile(r"\s*[%!?]")
"""Lines that are no Python: magics, commands and questions."""


class CodeBlock(NamedTuple):
    """Code as it stands in a model's answer: a fenced block with the name of a language."""

    code: str
    language: str = "python"

    @property
    def is_python(self) -> bool:
        """The name is one of Python's, or there is none."""
        return self.language.strip().lower() in _PYTHON


def unfenced(code: str) -> str:
    """Code without the one fence around all of it, and without a byte order mark before it.

    A fence that is not closed is one as well: what begins it is no Python.
    """
    text = code.removeprefix("\ufeff")
    fenced = _FENCED.fullmatch(text)
    if fenced is None or f"\n{fenced['fence']}" in fenced["code"]:
        return text
    return fenced["code"]


def hint_about_fences(code: str) -> str:
    """What to do about fences that Python cannot read: with words around them, two, a shell's.

    They are left where they stand: which of several is meant, nobody but the writer knows.
    """
    if not _FENCE.search(code):
        return ""
    return (
        "[Code is Python alone: leave out lines of fences (```) and words around them. "
        "Shell commands stand behind ! or below %%bash.]"
    )


def imported_names(code: str) -> list[str]:
    """Top-level names of what code imports, sorted; none for code with a syntax error."""
    lines = ["" if _IPYTHON_ALONE.match(line) else line for line in code.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError):
        return []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return sorted(found)
