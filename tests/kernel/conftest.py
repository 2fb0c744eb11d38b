"""The interpreter of a session, in the process that runs the tests."""

from __future__ import annotations

import bdb
import builtins
import getpass
import pdb
import signal
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """The one interpreter that a process can have; what it changes in the process is undone."""
    with pytest.MonkeyPatch.context() as undo:
        undo.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        undo.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
        undo.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        undo.setitem(sys.modules, "__main__", sys.modules["__main__"])
        undo.setattr(builtins, "input", builtins.input)
        undo.setattr(getpass, "getpass", getpass.getpass)
        undo.setattr(sys, "breakpointhook", sys.breakpointhook)
        undo.setattr(sys, "meta_path", list(sys.meta_path))
        for owner, names in ((bdb.Bdb, ["set_trace"]), (pdb, ["set_trace", "post_mortem", "pm"])):
            for name in names:
                undo.setattr(owner, name, getattr(owner, name))
        undo.setattr(pdb.Pdb, "set_trace", pdb.Pdb.set_trace, raising=False)
        yield Interpreter()


@pytest.fixture
def interpreter(made: Interpreter) -> Iterator[Interpreter]:
    """The same at the beginning of a session, without variables."""
    handler = signal.getsignal(signal.SIGINT)
    made.warm_up()
    made.begin_session()
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a session: a test run makes errors of them
        warnings.filterwarnings("ignore", message="To exit: use")
        yield made
    signal.signal(signal.SIGINT, handler)
