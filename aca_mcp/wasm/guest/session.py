"""The interpreter of a session inside WebAssembly: one request, one reply, whenever it is entered.

Between two requests nothing of Python is on the stack, so that the instance's memory is all of its
state: it can be written to a file, copied, and put back.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import sys
from typing import TYPE_CHECKING, cast

from aca_mcp.kernel.frames import Frame, FrameDecoder, encode
from aca_mcp.kernel.interpreter import Interpreter
from aca_mcp.kernel.serve import execute, installed_packages
from aca_mcp.wasm.guest import event_loop, habits, interrupts, missing
from aca_mcp.wasm.guest.telling import Telling

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    Exchange = Callable[[bytes], bytes]

WORK_DIRECTORY = "/mnt/data"


class GuestSession:
    """One interpreter and its connection to the process that holds it.

    Args:
        exchange: sends bytes to that process and returns its answer.
        preimport: modules that every session is to have in memory, where they exist.
    """

    def __init__(self, exchange: Exchange, preimport: list[str]) -> None:
        self._exchange = exchange
        os.chdir(WORK_DIRECTORY)
        # Last, so that files of the user are found, and take the place of nothing.
        sys.path.append(WORK_DIRECTORY)
        # The process around the instance collects what is printed, and lets it go on soon.
        for stream in (sys.stdout, sys.stderr):
            cast("io.TextIOWrapper", stream).reconfigure(line_buffering=True)
        habits.install()
        event_loop.install()
        missing.explain()
        self._telling = Telling(exchange)
        for name in preimport:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        self._interpreter = Interpreter()
        self._interpreter.warm_up()
        self._interpreter.begin_session()
        interrupts.rehearse(exchange)
        habits.forget_open_files()

    def begin(self) -> None:
        """Be another session than those that began with the same memory."""
        random.seed()
        if (numpy_random := sys.modules.get("numpy.random")) is not None:
            numpy_random.seed()

    def resume(self) -> None:
        """Go on with memory that was put back: no file that was open then is open now."""
        habits.forget_open_files()

    def serve(self) -> None:
        """Ask for a request, and answer it."""
        for frame in FrameDecoder().feed(self._exchange(b"")):
            if frame.header["op"] == "packages":
                answer: dict[str, object] = {"packages": installed_packages()}
            else:
                answer = execute(
                    frame.header, self._interpreter, self._telling, self._telling, WORK_DIRECTORY
                )
            self._exchange(encode(Frame(answer)))


current: GuestSession | None = None


def create(exchange: Exchange, preimport: list[str]) -> None:
    """Make the session of this instance, once."""
    global current
    current = GuestSession(exchange, preimport)
