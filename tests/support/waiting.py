"""Waiting for what nobody tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait, not for ever, for what another task or process does."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 -- there is no event
            await anyio.sleep(0.005)
