"""What ``aca-mcp exec`` runs, from its words: code itself, a script, a notebook, or stdin."""

from __future__ import annotations

import os
import sys
from importlib.util import decode_source
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOTEBOOK = ".ipynb"
_FILES = (".py", ".ipy", _NOTEBOOK)


class CodeSource(NamedTuple):
    """What is run, and what it finds itself to be."""

    codes: tuple[str, ...]
    """Run one after the other: several are the cells of a notebook."""
    script: Path | None
    """The file that the code is from, if it is a program."""
    argv: tuple[str, ...]
    """What the code finds in ``sys.argv``, as Python would have it."""


class _Cell(BaseModel):
    cell_type: str
    source: str | list[str]


class _Notebook(BaseModel):
    """As much as is read of nbformat 4."""

    cells: list[_Cell]


def code_source(words: Sequence[str], *, is_code: bool = False) -> CodeSource:
    """Read what is to be run.

    Args:
        words: the first says what; the others are its arguments.
        is_code: the first is code, whatever files there are.

    Raises:
        SettingsError: a file cannot be read.
    """
    if not words:
        return CodeSource((), None, ("-c",))
    first, *others = words
    if is_code or not (first == "-" or _is_file(first)):
        return CodeSource((first,), None, ("-c", *others))
    path = None if first == "-" else Path(first)
    name = "What stdin has" if path is None else first
    try:
        source = sys.stdin.buffer.read() if path is None else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror}.") from None
    if path is not None and path.suffix == _NOTEBOOK:
        return CodeSource(_cells(source, name), None, (path.name, *others))
    try:
        # As Python reads a file: by its byte order mark or its coding line, else as UTF-8.
        code = decode_source(source)
    except (SyntaxError, UnicodeDecodeError):
        raise SettingsError(f"{name} is not a script that can be read, in UTF-8.") from None
    return CodeSource((code,), path, ("-" if path is None else path.name, *others))


def _is_file(word: str) -> bool:
    if "\n" in word:
        return False
    return word.endswith(_FILES) or os.path.isfile(word)  # noqa: PTH113 -- code may be too long for a path


def _cells(source: bytes, name: str) -> tuple[str, ...]:
    try:
        cells = _Notebook.model_validate_json(source).cells
    except ValueError:
        raise SettingsError(f"{name} is not a notebook that can be read, of nbformat 4.") from None
    codes = ("".join(cell.source) for cell in cells if cell.cell_type == "code")
    return tuple(code for code in codes if code.strip())
