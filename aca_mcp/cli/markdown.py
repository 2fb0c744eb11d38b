"""Markdown as a person reads it at a terminal, by rich, which the extra ``cli`` brings."""

from __future__ import annotations

from typing import TextIO

_MAX_CHARACTERS = 64 * 1024
"""Of what is laid out; a longer text is shown as it was written."""


def show_markdown(text: str, stdout: TextIO) -> bool:
    """Lay out Markdown on a terminal.

    Args:
        text: without what could drive the terminal.
        stdout: where a person reads.

    Returns:
        False if it was not shown: this is no terminal, the text is too long, or there is no rich.
    """
    if not stdout.isatty() or len(text) > _MAX_CHARACTERS:
        return False
    try:
        from rich.console import Console
        from rich.markdown import Markdown
    except ModuleNotFoundError:
        return False
    # An address is shown beside its words: a link could say another one.
    Console(file=stdout).print(Markdown(text, hyperlinks=False))
    return True
