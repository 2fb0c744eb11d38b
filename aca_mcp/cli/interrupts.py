"""Ctrl-C at a terminal: the first interrupts the code, the second ends the program at once."""

from __future__ import annotations

import contextlib
import signal
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio

from aca_mcp.errors import SessionPoolError
from aca_mcp.signals import open_signals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, as shells have it."""


class Interrupts:
    """What Ctrl-C means at the moment."""

    def __init__(self, scope: anyio.CancelScope, say: Callable[[str], None]) -> None:
        """Ctrl-C ends the scope until there is something to interrupt."""
        self._scope = scope
        self._say = say
        self._interrupt: Callable[[], Awaitable[bool]] | None = None
        self._asked = False
        self.ended = False
        """A person wanted the program to end."""

    @contextmanager
    def of(self, interrupt: Callable[[], Awaitable[bool]]) -> Generator[None]:
        """While the context lasts, the first Ctrl-C calls this instead of ending the program.

        Args:
            interrupt: interrupts running code; false if there was none.
        """
        self._interrupt, self._asked = interrupt, False
        try:
            yield
        finally:
            self._interrupt = None

    async def receive(self) -> None:
        """Heed one Ctrl-C."""
        interrupt = self._interrupt
        if interrupt is not None and not self._asked:
            self._asked = True
            with contextlib.suppress(SessionPoolError):
                if await interrupt():
                    self._say("interrupting the code; Ctrl-C again ends this")
                    return
        self.ended = True
        self._scope.cancel()


@asynccontextmanager
async def open_interrupts(say: Callable[[str], None]) -> AsyncGenerator[Interrupts]:
    """Take Ctrl-C over for as long as the context lasts.

    Leaves the context without an error when a person has ended the program: ``ended`` says so.
    """
    with open_signals(signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            interrupts = Interrupts(tasks.cancel_scope, say)

            async def receive_all() -> None:
                async for _ in signals:
                    # Beside each other: the second must not wait for a pool that does not answer
                    # the first.
                    tasks.start_soon(interrupts.receive)

            tasks.start_soon(receive_all)
            yield interrupts
            tasks.cancel_scope.cancel()
