"""How much one principal may ask at once and in a minute.

A principal without limits could take every session and every connection from the others.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.types import ASGIApp, Receive, Scope, Send

_MINUTE = 60.0


@dataclass(slots=True)
class _Use:
    running: int = 0
    empty_at: float = 0.0
    """When what was asked for will have been paid off, at the allowed pace (GCRA)."""


class TooMuchError(Exception):
    """A principal asked for too much. Leaves this room as an answer with status 429."""

    def __init__(self, sentence: str, retry_after_seconds: int) -> None:
        """Say what is too much, and when to come back."""
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class Limits:
    """Counts what each principal asks for. A burst of a minute's allowance is let through."""

    concurrent: int
    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _uses: dict[str, _Use] = field(default_factory=dict[str, _Use])

    @contextmanager
    def one_more(self, principal: str) -> Generator[None]:
        """Count a request for as long as the block lasts.

        Raises:
            TooMuchError: it is one too many.
        """
        now = self.clock()
        use = self._uses.setdefault(principal, _Use())
        ahead = max(use.empty_at - now, 0.0)
        step = _MINUTE / self.per_minute
        if ahead + step > _MINUTE:
            raise TooMuchError(
                f"More than {self.per_minute} requests in a minute.",
                max(1, round(ahead + step - _MINUTE)),
            )
        if use.running >= self.concurrent:
            raise TooMuchError(f"More than {self.concurrent} requests at once.", 1)
        use.empty_at = now + ahead + step
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1
            self._forget_idle()

    def _forget_idle(self) -> None:
        # Whoever is let in has an entry, and nobody is let in without limits: there are few.
        now = self.clock()
        for principal in [name for name, use in self._uses.items() if not use.running]:
            if self._uses[principal].empty_at <= now:
                del self._uses[principal]


class LimitsMiddleware:
    """Answers 429 for the app where a principal asks for too much."""

    def __init__(self, app: ASGIApp, limits: Limits, principal: Callable[[], str]) -> None:
        """Limit an app; ``principal`` tells who makes the request that is being served."""
        self._app = app
        self._limits = limits
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Only what asks for work is counted, not streams that wait."""
        if scope["type"] != "http" or scope["method"] not in {"POST", "PUT"}:
            await self._app(scope, receive, send)
            return
        try:
            with self._limits.one_more(self._principal()):
                await self._app(scope, receive, send)
        except TooMuchError as error:
            response = PlainTextResponse(
                f"{error} Wait as long as Retry-After says, then try again.",
                429,
                {"Retry-After": str(error.retry_after_seconds)},
            )
            await response(scope, receive, send)
