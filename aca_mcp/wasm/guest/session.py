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
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aca_mcp.kernel.figures import forget_fonts
from aca_mcp.kernel.interpreter import Interpreter
from aca_mcp.kernel.message_framing import Frame, FrameDecoder, encode
from aca_mcp.kernel.pip_requests import PackageClient, add
from aca_mcp.kernel.serve import execute, installed_packages
from aca_mcp.wasm.guest import event_loop, interrupts, open_files, platform_differences, unsupported
from aca_mcp.wasm.guest.event_sender import EventSender

if TYPE_CHECKING:
    from collections.abc import Callable

    Exchange = Callable[[bytes], bytes]

WORK_DIRECTORY = "/mnt/data"
PIP_TARGET = "/tmp/packages"
"""Where wheels are unpacked that are files of the session."""
INSTALLED = "/installed"
"""Has a directory for each set of packages that was installed into the session."""


class GuestSession:
    """One interpreter and its connection to the process that holds it.

    Args:
        exchange: sends bytes to that process and returns its answer.
        preimport: modules that every session is to have in memory, where they exist.
    """

    def __init__(self, exchange: Exchange, preimport: list[str]) -> None:
        self._exchange = exchange
        os.chdir(WORK_DIRECTORY)
        os.environ["PIP_TARGET"] = PIP_TARGET
        # Last, so that files of the user are found, and take the place of nothing.
        sys.path += [WORK_DIRECTORY, PIP_TARGET]
        platform_differences.install()
        event_loop.install()
        self._sender = EventSender(exchange)
        for name in preimport:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        self._interpreter = Interpreter()
        client = PackageClient(_Questions(exchange))
        self._interpreter.take_over_installing(client)
        unsupported.explain(client)
        self._interpreter.warm_up()
        self._interpreter.begin_session()
        interrupts.show_signal_words(exchange)
        forget_fonts()

    def begin(self) -> None:
        """Be another session than those that began with the same memory."""
        random.seed()
        if (numpy_random := sys.modules.get("numpy.random")) is not None:
            numpy_random.seed()

    def resume(self) -> None:
        """Go on with memory that was put back: of files, only what is in directories is there."""
        open_files.close_all()
        add(*map(str, sorted(Path(INSTALLED).iterdir())))

    def serve(self) -> None:
        """Ask for a request, and answer it."""
        for frame in FrameDecoder().feed(self._exchange(b"")):
            answer: dict[str, object] = {}
            if frame.header["op"] == "packages":
                answer = {"packages": installed_packages()}
            elif frame.header["op"] == "add":
                add(*map(str, cast("list[object]", frame.header["paths"])))
            else:
                answer = execute(
                    frame.header, self._interpreter, self._sender, self._sender, WORK_DIRECTORY
                )
            self._exchange(encode(Frame(answer)))


class _Questions:
    """Carries what code asks for to the process around the instance, and the answer back."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer = b""

    def send(self, data: bytes) -> None:
        """Ask, and wait for the answer."""
        self._answer = self._exchange(data)

    def wait(self, ended: int) -> bool:
        """Asking has waited already."""
        del ended
        return True

    def receive(self) -> bytes:
        """The answer, once; empty where there is none."""
        answer, self._answer = self._answer, b""
        return answer


current: GuestSession | None = None


def create(exchange: Exchange, preimport: list[str]) -> None:
    """Make the session of this instance, once."""
    global current
    current = GuestSession(exchange, preimport)
