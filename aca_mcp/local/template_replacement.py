"""The template that sessions are forked from, replaced when it has ended.

Whatever ends one (the host ran out of memory, somebody killed it) ends the sessions that were made
from it and no more: the pool goes on with another, and sessions that are lost are told of one by
one, as they are when they crash alone.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from aca_mcp.background_tasks import guarded, repeated
from aca_mcp.local.template_process import TemplateProcess, start_template

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aca_mcp.local.configuration import LocalPoolConfiguration
    from aca_mcp.local.identities import Block

_RETRY_SECONDS = 2.0
"""Between the starts of two templates, so that one that cannot run is not started without end."""


class Templates:
    """The present template of a pool. Made by ``open_templates``."""

    def __init__(
        self, configuration: LocalPoolConfiguration, users: Block | None, first: TemplateProcess
    ) -> None:
        self._configuration = configuration
        self._users = users
        self._present = first
        self._started_at = anyio.current_time()
        self._replacing = anyio.Lock()
        self._replaced = anyio.Event()

    async def ready(self) -> TemplateProcess:
        """The template, once its sandbox is set up; another if the one before has ended.

        Raises:
            PoolUnavailableError: there is none. The message says why and what to do.
        """
        ended = self._present
        if ended.has_ended:
            if ended.isolation is not None:
                await anyio.sleep(self._seconds_until_another())
            if self._seconds_until_another() <= 0:
                await self._replace(ended)
        template = self._present
        await template.wait_ready()
        return template

    def answer_now(self) -> None:
        """Have it answer now rather than after its imports."""
        self._present.answer_now()

    async def keep(self, on_replaced: Callable[[], None]) -> None:
        """Replace each template that ends after it was ready, until cancelled.

        One that never was ready is replaced when somebody asks: nothing may have changed.
        """

        async def step() -> None:
            ended = self._present
            await ended.wait_ended()
            if ended.isolation is None and ended is self._present:
                await self._replaced.wait()
            await anyio.sleep(self._seconds_until_another())
            await self._replace(ended)
            on_replaced()

        await repeated(step)

    async def close(self) -> None:
        """End the template, and all its sessions."""
        await self._present.close()

    def _seconds_until_another(self) -> float:
        return max(0.0, self._started_at + _RETRY_SECONDS - anyio.current_time())

    async def _replace(self, ended: TemplateProcess) -> None:
        async with self._replacing:
            if self._present is not ended:
                return  # somebody else has
            self._started_at = anyio.current_time()
            await ended.close()
            with anyio.CancelScope(shield=True):  # a process that nobody knew would stay
                self._present = await start_template(self._configuration, self._users)
            self._replaced.set()
            self._replaced = anyio.Event()


@asynccontextmanager
async def open_templates(
    configuration: LocalPoolConfiguration, users: Block | None
) -> AsyncGenerator[Templates]:
    """Start a template, and end it with every session at the end. Does not wait for it.

    Raises:
        PoolUnavailableError: the interpreter cannot be started.
    """
    first = await start_template(configuration, users)
    templates = Templates(configuration, users, first)
    try:
        yield templates
    finally:
        await guarded(templates.close)
