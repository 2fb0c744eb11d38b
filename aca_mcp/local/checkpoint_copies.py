"""One copy of a session's process, as the supervisor holds it, and those that it has let go."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import NamedTuple

_LEAVE_SECONDS = 15
"""For copies that were let go to give back their memory, on a machine that has much else to do."""
_MOST_LEAVING = 32
"""Watched at once: what is one in a session's word alone may never leave."""


class Checkpoint(NamedTuple):
    """A copy of a session's process that waits, or the session's keeper, which can begin anew."""

    pid: int
    """As the session counts; good for nothing but to be told to the session's own keeper."""
    after: int
    """The number of the last request that it knows."""
    connection: socket.socket | None
    """None for the keeper."""
    helpers: tuple[int, ...] = ()
    """Numbers of processes that are neither code's nor copies, and outlive what runs."""

    @property
    def is_there(self) -> bool:
        """Whether it has not closed its connection, as ending does."""
        if self.connection is None:
            return True
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """End it; a keeper stays, for the session's sake."""
        if self.connection is not None:
            self.connection.close()


KEEPER = Checkpoint(pid=0, after=0, connection=None)
"""From before the first execution; it takes no memory of its own, and may be used again."""


class Leaving:
    """Copies that were told to end.

    The kernel closes the connection of one that ends after it has freed all its memory.
    """

    def __init__(self) -> None:
        self._copies: list[Checkpoint] = []
        self._until = 0.0

    def add(self, checkpoint: Checkpoint, now: float) -> None:
        """Have one end; a keeper stays.

        Args:
            checkpoint: not used any more.
            now: on anyio's clock.
        """
        if checkpoint.connection is None:
            return
        self._forget_ended()
        if not self._copies:
            # Not later for one that comes while others leave: together they have so long.
            self._until = now + _LEAVE_SECONDS
        if len(self._copies) < _MOST_LEAVING:
            with suppress(OSError):  # it has ended already
                checkpoint.connection.shutdown(socket.SHUT_WR)
            self._copies.append(checkpoint)
        else:
            checkpoint.close()

    def pids(self, now: float) -> list[int]:
        """Numbers of those that may still have memory, as their session counts."""
        self._forget_ended()
        return [each.pid for each in self._copies] if now < self._until else []

    def close(self) -> None:
        """Forget them all."""
        while self._copies:
            self._copies.pop().close()

    def _forget_ended(self) -> None:
        for each in [each for each in self._copies if _has_hung_up(each)]:
            self._copies.remove(each)
            each.close()


def _has_hung_up(checkpoint: Checkpoint) -> bool:
    """Whether the other end is closed, whatever it has left to read."""
    poll = select.poll()
    if checkpoint.connection is not None:
        poll.register(checkpoint.connection, 0)  # a hang-up is reported all the same
    return bool(poll.poll(0))
