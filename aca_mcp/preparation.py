"""Code that makes a session ready for its user's, and leaves no trace of itself in the history.

Knows IPython's shell, and nothing of pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODE = """
import builtins
get_ipython = getattr(builtins, "get_ipython", lambda: None)
def begin_history(shell):
    def begin(result):
        shell.events.unregister("post_run_cell", begin)
        history = shell.history_manager
        for name in [each for each in shell.user_ns if each[:2] == "_i" and each[2:].isdigit()]:
            del shell.user_ns[name]
        history.reset()
        history._i = history._ii = history._iii = history._i00 = ""
        shell.push({"_i": "", "_ii": "", "_iii": ""}, interactive=False)
        shell.execution_count = 1
    # When IPython has counted this execution, which some of its versions do last.
    shell.events.register("post_run_cell", begin)
if (shell := get_ipython()) is not None:
    begin_history(shell)
"""
_PROGRAM = """
import os, sys
sys.argv[:] = {argv!r}
if {is_file}:
    sys.modules["__main__"].__file__ = os.path.abspath(sys.argv[0])
"""


def preparation(source: str) -> str:
    """Code for the first execution of a session, after which the next is number 1 all the same.

    Args:
        source: Python, run in names of its own.
    """
    return f"exec({source + _CODE!r}, {{}})"


def program(argv: Sequence[str], *, is_file: bool) -> str:
    """A preparation after which code finds itself a program with these arguments.

    Args:
        argv: what ``sys.argv`` is to be.
        is_file: the first of them is a file of the work directory, and what ``__file__`` names.
    """
    return preparation(_PROGRAM.format(argv=list(argv), is_file=is_file))
