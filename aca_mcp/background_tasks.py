"""What goes on beside something else: an error there ends nothing else, and one here is no group.

An error that leaves a task ends all tasks beside it, and so every session of a pool. Of a step that
a pool takes when nobody waits it is logged by its kind alone, for its text may carry what is a
session's own.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVarTuple, Unpack

import anyio
import anyio.abc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

Arguments = TypeVarTuple("Arguments")

_logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""After an error, before the next step: what is wrong may stay so for a while."""


async def guarded(
    step: Callable[[Unpack[Arguments]], Awaitable[object]], *arguments: *Arguments
) -> bool:
    """Take a step; whether it went well."""
    try:
        await step(*arguments)
    except Exception as error:
        name = getattr(step, "__qualname__", "a step")
        _logger.error("The session pool's %s met an error: %s", name, type(error).__name__)
        return False
    return True


async def repeated(step: Callable[[], Awaitable[object]]) -> None:
    """Take a step again and again until cancelled. The step waits for what there is to do."""
    while True:
        if not await guarded(step):
            await anyio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """Tasks beside a block, cancelled at its end. An error of the block leaves it in no group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
