"""Code that is not the user's, and leaves no trace of itself in the history of a session.

Knows IPython's shell, and nothing of pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODE = """
import builtins
def leave_out(shell):
    def leave(result):
        shell.events.unregister("post_run_cell", leave)
        history, number = shell.history_manager, result.execution_count
        if history.input_hist_raw[-1:] and number == len(history.input_hist_raw) - 1:
            del history.input_hist_raw[-1], history.input_hist_parsed[-1]
            history._i00, history._i, history._ii = history._i, history._ii, history._iii
            shell.user_ns.pop(f"_i{number}", None)
            latest = {"_i": history._i, "_ii": history._ii, "_iii": history._iii}
            shell.push(latest, interactive=False)
            shell.execution_count = number
    # When IPython has counted this execution, which some of its versions do last.
    shell.events.register("post_run_cell", leave)
shell = getattr(builtins, "get_ipython", lambda: None)()
if shell is not None:
    leave_out(shell)
"""
_PROGRAM = """
import os, sys
sys.argv[:] = {argv!r}
if {is_file}:
    sys.modules["__main__"].__file__ = os.path.abspath(sys.argv[0])
"""


def unrecorded(code: str) -> str:
    """The same code, after which the next has its number, and the history nothing of it."""
    return f"exec({_CODE!r}, {{}})\n{code}"


def apart(code: str) -> str:
    """The same code in names of its own."""
    return f"exec({code!r}, {{}})"


def program(argv: Sequence[str], *, is_file: bool) -> str:
    """Code after which what runs finds itself a program with these arguments.

    Args:
        argv: what ``sys.argv`` is to be.
        is_file: the first of them is a file of the work directory, and what ``__file__`` names.
    """
    return apart(_PROGRAM.format(argv=list(argv), is_file=is_file))
