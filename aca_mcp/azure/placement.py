"""Which of several pools a session belongs to: rendezvous hashing. Pure.

Each pool gets a weight for each identifier, and the heaviest comes first. Every replica computes
the same order without a store, and a pool that is added or taken away moves only its own share.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def order_of(identifier: str, pools: Sequence[str]) -> tuple[int, ...]:
    """The pools in the order in which a session tries them, by their index.

    Args:
        identifier: the session's.
        pools: their endpoints, in any order: it does not matter.
    """

    def weight(index: int) -> bytes:
        return hashlib.sha256(f"{pools[index]}\0{identifier}".encode()).digest()

    return tuple(sorted(range(len(pools)), key=weight, reverse=True))
