"""Lets the process around the instance see where CPython notes that a signal has come.

It cannot send a signal to code in WebAssembly. It can write to the memory of the instance, and so
do what a signal's handler in C does: set three words, which the interpreter looks at between two
instructions of Python. Where they are is found by having Python set them.
"""

from __future__ import annotations

import _thread
import functools
import operator
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
"""Words that change for other reasons do not change in the same way each time."""


def show_signal_words(exchange: Callable[[bytes], bytes]) -> None:
    """Be interrupted, and tell before, at the moment, and after it was noticed."""
    handler = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        for _ in range(ROUNDS):
            steps = [
                functools.partial(exchange, b"before"),
                _thread.interrupt_main,
                functools.partial(exchange, b"noted"),
            ]
            list(map(operator.call, steps))  # in C, so that Python does not look in between
            exchange(b"noticed")
    finally:
        signal.signal(signal.SIGINT, handler)
