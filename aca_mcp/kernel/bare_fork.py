"""Forks of which Python is told later, and only in a child that goes on to run code.

``os.fork`` runs what libraries and code have registered for forks (``os.register_at_fork``) in both
processes. Whoever makes a copy that only waits wants none of it: code would see that it was copied,
and the two write to some hundred pages of memory that they share no longer. Told of later: by
``PyOS_BeforeFork`` and ``PyOS_AfterFork_Child`` (Python's C API, Operating System Utilities).

Only for a process with one thread: what is registered is mostly for locks that others may hold.
"""

from __future__ import annotations

import ctypes
import os
import random

_interpreter = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock during calls


def bare_fork() -> int:
    """Fork, and leave Python as it is in both processes. Returns what ``os.fork`` would.

    Raises:
        OSError: there can be no more processes.
    """
    pid: int = _interpreter.fork()
    if pid < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return pid


def tell_python_of_fork(*, keeps_random: bool) -> None:
    """Run in the child what ``os.fork`` would have run.

    Args:
        keeps_random: random numbers go on as in the parent, rather than from anywhere.
    """
    generator = random.getstate() if keeps_random else None
    _interpreter.PyOS_BeforeFork()
    _interpreter.PyOS_AfterFork_Child()
    if generator is not None:
        random.setstate(generator)
