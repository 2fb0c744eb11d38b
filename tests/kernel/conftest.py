"""The interpreter of a session, in the process that runs the tests."""

from __future__ import annotations

import bdb
import builtins
import code
import getpass
import inspect
import pdb
import pydoc
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import IPython
import pytest
from IPython.core.magics.execution import ExecutionMagics

from aca_mcp.kernel.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def finders() -> list[Any]:
    """What the interpreter puts before the process's own finders of modules."""
    return []


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, finders: list[Any]) -> Iterator[Interpreter]:
    """The one interpreter that a process can have; what it changes in the process is undone."""
    with pytest.MonkeyPatch.context() as undo:
        undo.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        undo.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        undo.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        undo.setitem(sys.modules, "__main__", sys.modules["__main__"])
        undo.setattr(builtins, "input", builtins.input)
        undo.setattr(getpass, "getpass", getpass.getpass)
        undo.setattr(sys, "stdin", sys.stdin)
        for owner, names in (
            (bdb.Bdb, ["set_trace"]),
            (pdb, ["set_trace", "post_mortem", "pm"]),
            (pdb.Pdb, ["interaction"]),
            (code, ["interact"]),
            (code.InteractiveConsole, ["interact"]),
            (pydoc.Helper, ["interact"]),
            (IPython, ["embed"]),
            (ExecutionMagics, ["_run_with_debugger"]),
        ):
            for name in names:
                undo.setattr(owner, name, getattr(owner, name))
        undo.setattr(pdb.Pdb, "set_trace", pdb.Pdb.set_trace, raising=False)
        for owner, name in (
            (traceback, "walk_stack"),
            (inspect, "getouterframes"),
            (inspect, "getinnerframes"),
            (warnings, "warn"),
        ):
            undo.setattr(owner, name, getattr(owner, name))
        for name in ("_extract_from_extended_frame_gen", "extract"):
            undo.setattr(traceback.StackSummary, name, getattr(traceback.StackSummary, name))
        before = list(sys.meta_path)
        interpreter = Interpreter()
        finders += [each for each in sys.meta_path if each not in before]
        sys.meta_path[:] = before  # tests of other rooms come between those of this one
        yield interpreter


@pytest.fixture
def interpreter(
    made: Interpreter, finders: list[Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Interpreter]:
    """The same at the beginning of a session, without variables."""
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "meta_path", [*finders, *sys.meta_path])
    made.warm_up()
    made.begin_session()
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a session: a test run makes errors of them
        warnings.filterwarnings("ignore", message="To exit: use")
        yield made
    signal.signal(signal.SIGINT, handler)
