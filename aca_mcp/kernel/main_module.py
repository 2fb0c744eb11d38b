"""The module that code runs as, after code has emptied it.

People let go of memory by deleting all variables, ``for name in dir(): del globals()[name]``, and
by ``%reset``. With them goes what IPython reads with each value, and what workers look for in it.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_NEEDED = {*vars(ModuleType("")), "_oh", "get_ipython"}


def restore_names(shell: InteractiveShell) -> None:
    """Have the names there again that the interpreter needs; code's own of these names stay."""
    names = cast("dict[str, object]", shell.user_ns)
    if names.keys() >= _NEEDED:
        return
    hidden = cast("dict[str, object]", shell.user_ns_hidden)  # which %who leaves out
    present, hidden_before = dict(names), dict(hidden)
    names.update(vars(ModuleType("__main__")))
    shell.init_user_ns()
    names.update(present)
    hidden.update({each: hidden_before[each] for each in present.keys() & hidden_before.keys()})
