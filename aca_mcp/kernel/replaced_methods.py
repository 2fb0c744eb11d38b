"""Methods of single objects, replaced for a time. Standard library only."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextmanager
def replaced(owner: object, name: str, method: Callable[..., Any]) -> Generator[None]:
    """Give one object a method that its class has too, or that it was given before."""
    before = vars(owner).get(name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        if before is not None:
            setattr(owner, name, before)
        else:
            with suppress(AttributeError):
                delattr(owner, name)
