"""A mapping that forgets: of very many entries, those set or used last."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")


class BoundedMapping(OrderedDict[K, V]):
    """At most so many entries; one more, and the oldest goes.

    Args:
        most: how many.
        is_needed: says of a value that it must stay. While the oldest is, none goes.
    """

    def __init__(self, most: int, is_needed: Callable[[V], bool] | None = None) -> None:
        super().__init__()
        self._most = most
        self._is_needed = is_needed

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._most:
            oldest = next(iter(self))
            if self._is_needed is not None and self._is_needed(self[oldest]):
                return
            del self[oldest]

    def used(self, key: K, make: Callable[[], V]) -> V:
        """The entry of a key, made if there is none, as the one used last."""
        if key in self:
            self.move_to_end(key)
        else:
            self[key] = make()
        return self[key]
