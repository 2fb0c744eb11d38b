"""What probes ask: whether the process lives, and whether it can serve."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse

from aca_mcp.errors import NotSupportedError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from aca_mcp.pool import SessionPool

_logger = logging.getLogger(__name__)

_ASK_SECONDS = 15
_NOBODYS = "nobodys"
"""Looked for because pools remember their metadata, and would give it though they are gone."""


class Health:
    """Answers without detail, since nobody has to say who they are.

    Args:
        pool: which is asked whether it is there.
        remember_seconds: how long its answer is given again: whoever asks needs no token, and
            asking often must not cost the pool.
    """

    def __init__(self, pool: SessionPool, remember_seconds: float = 2) -> None:
        self._pool = pool
        self._remember_seconds = remember_seconds
        self._asking = anyio.Lock()
        self._asked_at = float("-inf")
        self._is_ready = False
        self.is_stopping = False

    async def alive(self, _: Request) -> Response:
        """The event loop answers."""
        return PlainTextResponse("alive\n")

    async def ready(self, _: Request) -> Response:
        """The pool can be reached, and new calls are taken."""
        if not self.is_stopping and await self._pool_answers():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", 503)

    async def _pool_answers(self) -> bool:
        async with self._asking:
            if anyio.current_time() - self._asked_at < self._remember_seconds:
                return self._is_ready
            try:
                with anyio.fail_after(_ASK_SECONDS):
                    await self._pool.metadata()
                    with suppress(NotSupportedError):
                        await self._pool.get_session(_NOBODYS)
                self._is_ready = True
            except Exception as error:  # whatever a pool does, a probe is answered
                _logger.warning("The session pool does not answer: %s", type(error).__name__)
                self._is_ready = False
            self._asked_at = anyio.current_time()
            return self._is_ready
