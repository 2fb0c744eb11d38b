"""Users for the sessions of a server that is root: one each, that nobody else on the machine is.

The kernel counts much per user (descriptors in flight, processes, queued signals, watches, pages in
pipes), and lets processes of one user do things to one another. So no two sessions share one, not
even sessions of different servers.

A pool reserves a block of them with a name that only one socket of the network namespace can have,
which the kernel takes back when the server ends, however it ends.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

_HIGH = range(1_900_000_000, 1_900_000_000 + 2**26, 2**13)
"""First users of blocks that no distribution, container or service manager hands out."""
_LOW = range(62_000, 64_880, 480)
"""The same below the 65,536 that a container with a user namespace has."""


class Block(NamedTuple):
    """Users that follow one another."""

    first: int
    """The template's own, which no session has."""
    size: int


class Identity(NamedTuple):
    """A session's user, and group of the same number."""

    number: int
    """In its block, from 1."""
    user: int
    """As this process counts."""


class Identities:
    """Hands out the users of a block, each again only when all others have been."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._last = 0
        self._taken: set[int] = set()

    def take(self) -> Identity:
        """A user that no session has.

        Raises:
            PoolUnavailableError: there is none left.
        """
        for _ in range(1, self.block.size):
            self._last = self._last % (self.block.size - 1) + 1
            if self._last not in self._taken:
                self._taken.add(self._last)
                return Identity(self._last, self.block.first + self._last)
        raise PoolUnavailableError(
            f"All {self.block.size - 1:,} users for local sessions are taken. End sessions that "
            "are not needed."
        )

    def give_back(self, identity: Identity) -> None:
        """No process of that user is left."""
        self._taken.discard(identity.number)


def possible_blocks(uid_map: str) -> range:
    """The first users of the blocks that a process may use, which have one size, the step. Pure.

    Args:
        uid_map: its ``/proc/self/uid_map``.
    """
    mapped = [range(int(first), int(first) + int(count)) for first, _, count in _rows(uid_map)]
    for starts in (_HIGH, _LOW):
        if any(starts[0] in known and starts[-1] + starts.step - 1 in known for known in mapped):
            return starts
    return range(0)


def _rows(uid_map: str) -> list[list[str]]:
    return [line.split() for line in uid_map.splitlines() if line.strip()]


@contextmanager
def reserve_identities(blocks: range | None = None) -> Generator[Identities]:
    """Keep a block of users for this process until the end of the context.

    Args:
        blocks: those to choose from, as ``possible_blocks`` has them; by default those.

    Raises:
        PoolUnavailableError: there is none, or other servers have them all.
    """
    if blocks is None:
        blocks = possible_blocks(Path("/proc/self/uid_map").read_text(encoding="ascii"))
    if not blocks:
        raise PoolUnavailableError(
            "This container has fewer users than the local pool needs: it runs as root, and its "
            "sessions must not. Let it have 65,536 users, or start the server as another user."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as name:
        # At random, because servers in other network namespaces have names of their own.
        at = secrets.randbelow(len(blocks))
        for first in chain(blocks[at:], blocks[:at]):
            try:
                name.bind(f"\0aca-mcp/users/{first}")
            except OSError:
                continue
            yield Identities(Block(first, blocks.step))
            return
    raise PoolUnavailableError(
        "Other servers on this machine have all the users that local sessions could be. End one."
    )
