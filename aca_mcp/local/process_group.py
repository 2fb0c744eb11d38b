"""Signals to all processes of a session at once, and to its first one.

All but those that left its group, as code can where a PID namespace holds them together.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class ProcessGroup:
    """The processes of one session.

    Args:
        pid: of the first of them, which is the group's number.
        process: the same, as a pidfd. It is its owner's.
    """

    def __init__(self, pid: int, process: int) -> None:
        self._pid = pid
        self._process = process
        self._goes_on = True
        self.is_gone = False
        """Set when the numbers may be others' soon; then nobody is signalled any more."""

    def send(self, number: signal.Signals) -> None:
        """Signal every process of the group."""
        # The group has the shell commands that code started. Its number is not used again before
        # the template was told to let it go, so no stranger is hit. A process that has just been
        # forked has no group of its own yet.
        if self.is_gone:
            return
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:
            self._send_to_first(number)

    def stop_all_but_the_first(self) -> None:
        """Let it have the processor, which it may have to share with a fork bomb. For good."""
        self._goes_on = False
        self.send(signal.SIGSTOP)
        if not self.is_gone:
            self._send_to_first(signal.SIGCONT)

    @contextmanager
    def standing_still(self) -> Generator[None]:
        """Let none of them run while the block lasts; those that were stopped for good stay so."""
        if self._goes_on:
            self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            if self._goes_on:
                self.send(signal.SIGCONT)

    def goes_on(self) -> None:
        """Another process of the session goes on in the place of those that were stopped."""
        self._goes_on = True

    def _send_to_first(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)
