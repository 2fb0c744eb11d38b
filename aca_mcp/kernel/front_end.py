"""What a person at a notebook's front end would see or do, in sessions, which have none."""

# IPython is typed in part: what it does not say is checked by the tests, in real sessions.
# pyright: reportAttributeAccessIssue=false, reportPrivateUsage=false

from __future__ import annotations

import bdb
import code
import pdb
import sys
import warnings
from typing import NoReturn, cast

import IPython
from IPython.core.magics.execution import ExecutionMagics

from .error_hints import NO_DEBUGGER


def no_debugger(*args: object, **kwargs: object) -> NoReturn:
    """What begins a debugger says that there is none."""
    raise EOFError(NO_DEBUGGER)


def leave_out_what_needs_a_person() -> None:
    """Have debuggers say that there is none: a Jupyter kernel's would end code without a word."""
    warnings.filterwarnings("ignore", message="To exit: use")  # there is nothing to exit
    pdb.Pdb.set_trace = bdb.Bdb.set_trace = pdb.Pdb.interaction = no_debugger
    pdb.set_trace = pdb.post_mortem = pdb.pm = no_debugger
    sys.breakpointhook = sys.__breakpointhook__  # a Jupyter kernel has debugpy's
    code.interact = code.InteractiveConsole.interact = no_debugger
    ExecutionMagics._run_with_debugger = no_debugger  # of %%debug and %run -d
    IPython.embed = no_debugger  # made when asked for


def show_input(text: str, replace: bool = False) -> None:
    """Print what ``%load`` and ``%recall`` would put into a cell: there is none to edit."""
    print(text.strip("\n"))  # noqa: T201 -- see above


def print_page(page: object, start: int = 0, screen_lines: int = 0) -> None:
    """Print what ``name?``, ``%psource`` and ``%prun`` would show in a pager."""
    text = cast("dict[str, str]", page).get("text/plain", "") if isinstance(page, dict) else page
    print(*str(text).splitlines()[start:], sep="\n")  # noqa: T201 -- see above


def no_gui(gui: object = None) -> None:
    """There is no event loop of a window system to join."""
