"""Several session pools as one, so that there can be more sessions than one pool may have.

A session is placed by rendezvous hashing of its identifier. While the pool that comes first is
full or cannot be reached, a session that is not there yet goes to the next. Where a session is, the
pools themselves are asked, so that every replica finds it without a store. A session is never
moved: what was in a pool that went is lost until that pool comes back, and this is said.

Knows the port alone.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import anyio

from aca_mcp.bounded_mapping import BoundedMapping
from aca_mcp.errors import NotSupportedError, PoolFullError, PoolUnavailableError, SessionPoolError
from aca_mcp.forwarding_pool import ForwardingPool, T

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from aca_mcp.pool import FileDownload, PoolMetadata, SessionInfo, SessionPool

TRUSTED_SECONDS = 240
"""How long it is relied upon that a session is where it was last used. The shortest cooldown is 300
seconds, so it is still there, and every other replica finds it there too."""
_LOOK_SECONDS = 3
"""How long a pool may take to say whether it has a session, while others are there."""
_SILENT_SECONDS = 30
"""How long a pool that could not be reached is tried last for new sessions."""
_ALLOCATE_SECONDS = 60
_ALLOCATE = "None"
_MAX_KNOWN = 100_000
_ELSEWHERE = (PoolFullError, PoolUnavailableError)
"""What sends a session that is not there yet to the next pool: nothing was executed."""


@dataclass(frozen=True, slots=True)
class NamedPool:
    """One of several pools."""

    name: str
    """For people: it is in messages and metrics."""
    endpoint: str
    """What it is weighed by: the same in every replica."""
    pool: SessionPool


@dataclass(slots=True)
class _Known:
    """What this process knows of a session."""

    at: int | None = None
    """The index of its pool, or None if it is in none as far as is known."""
    used_at: float = 0.0
    placing: anyio.Lock = field(default_factory=anyio.Lock)
    """Held while its place is sought, so that it gets one."""


class _Found(NamedTuple):
    """What all pools say when they are asked for a session; they are meant by their indexes."""

    at: int | None
    """The one that has it."""
    session: SessionInfo | None
    """What that one tells of it."""
    silent: frozenset[int]
    """Those that did not answer."""
    cannot_tell: frozenset[int]
    """Those that never can: their version of the API, or their image, has no such question."""


class SeveralPools(ForwardingPool):
    """Implements ``SessionPool`` by several others, which stay the caller's to close.

    Args:
        pools: at least one, in any order.
        clock: seconds.
    """

    def __init__(
        self, pools: Sequence[NamedPool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pools = tuple(pools)
        self._endpoints = tuple(each.endpoint for each in pools)
        self._clock = clock
        # Of those that are forgotten, the pools still know where they are.
        self._known: BoundedMapping[str, _Known] = BoundedMapping(_MAX_KNOWN)
        self._silent_until = [0.0] * len(self._pools)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        at = await self._place(identifier)
        async with self._pools[at].pool.download_file(identifier, path) as download:
            yield download

    async def get_session(self, identifier: str) -> SessionInfo | None:
        """Look for it where it is, or may be.

        Raises:
            PoolUnavailableError: it is in no pool that answers, and may be in one that does not.
        """
        known = self._get(identifier)
        if (at := self._trusted(known)) is not None:
            session = await self._pools[at].pool.get_session(identifier)
            known.at = at if session is not None else None
            if session is not None:
                return session
        found = await self._look_for(identifier)
        if found.session is None and found.silent:
            raise PoolUnavailableError(
                f"Whether the session is there cannot be said: {self._names(found.silent)} cannot "
                "be reached, and no other pool has it. Nothing was executed. Try again later; its "
                "variables and files are there if the pool comes back in time."
            )
        known.at, known.used_at = found.at, self._clock()
        return found.session

    async def keep_alive(self, identifier: str) -> bool:
        known = self._get(identifier)
        at = self._trusted(known)
        if at is None:
            at = (await self._look_for(identifier)).at
        if at is None:
            return False
        kept = await self._pools[at].pool.keep_alive(identifier)
        known.at, known.used_at = (at if kept else None), self._clock()
        return kept

    async def stop_session(self, identifier: str) -> bool:
        """Of a session whose pool is not known, every pool is told."""
        known = self._known.pop(identifier, None)
        if known is not None and known.at is not None:
            return await self._pools[known.at].pool.stop_session(identifier)
        outcomes = await self._of_each(lambda pool: pool.stop_session(identifier))
        if any(outcome is True for outcome in outcomes):
            return True
        errors = [outcome for outcome in outcomes if isinstance(outcome, SessionPoolError)]
        if errors:
            raise errors[0]
        return False

    async def metadata(self) -> PoolMetadata:
        """All pools are taken to be of one kind: the first that answers."""
        outcomes = await self._of_each(lambda pool: pool.metadata())
        told = (each for each in outcomes if not isinstance(each, SessionPoolError))
        first = next(told, outcomes[0])
        if isinstance(first, SessionPoolError):
            raise first
        return first

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        """Do it in the pool that has the session, or is to have it.

        Code that is refused has done nothing, so it can itself be tried in one pool after another.
        For all else, such as an upload, whose stream is read once, a session is allocated before.
        """
        allocates = operation == "execute"
        known = self._get(identifier)
        at = self._trusted(known)
        if at is None and allocates:
            async with known.placing:
                at = await self._find(identifier, known)
                if at is None:
                    return await self._try_each(identifier, known, act)
        elif at is None:
            at = await self._place(identifier)
        try:
            result = await act(self._pools[at].pool)
        except PoolFullError:
            # It was not there any more, or its pool would have taken it.
            known.at = None
            if not allocates:
                raise
            async with known.placing:
                return await self._try_each(identifier, known, act)
        except PoolUnavailableError as error:
            raise self._pool_went(at, error) from error
        known.used_at = self._clock()
        return result

    async def _place(self, identifier: str) -> int:
        """The pool of a session, which is allocated if it is in none."""
        known = self._get(identifier)
        if (trusted := self._trusted(known)) is not None:
            return trusted
        async with known.placing:
            at = await self._find(identifier, known)
            if at is None:
                await self._try_each(
                    identifier,
                    known,
                    lambda pool: pool.execute(
                        identifier, _ALLOCATE, timeout_seconds=_ALLOCATE_SECONDS
                    ),
                )
                at = known.at
        assert at is not None  # noqa: S101 -- else there was an error
        return at

    async def _find(self, identifier: str, known: _Known) -> int | None:
        """Where a session is, or None if no pool that answers has it."""
        if (at := self._trusted(known)) is not None:
            return at
        was_at = known.at
        found = await self._look_for(identifier)
        at = found.at
        if at is None and was_at in found.silent | found.cannot_tell:
            at = was_at  # it may be there still: it is not begun elsewhere
        known.at, known.used_at = at, self._clock()
        return at

    async def _try_each(
        self,
        identifier: str,
        known: _Known,
        act: Callable[[SessionPool], Awaitable[T]],
    ) -> T:
        """Begin a session in the first pool that takes it."""
        refusal: SessionPoolError | None = None
        now = self._clock()
        order = order_of(identifier, self._endpoints)
        for at in sorted(order, key=lambda each: self._silent_until[each] > now):
            # Before its answer: if that is lost, the session may be there.
            known.at, known.used_at = at, self._clock()
            try:
                result = await act(self._pools[at].pool)
            except _ELSEWHERE as error:
                if isinstance(error, PoolUnavailableError):
                    # What came before the code may have begun a session there.
                    if await self._has(at, identifier):
                        raise self._pool_went(at, error) from error
                    self._silent_until[at] = self._clock() + _SILENT_SECONDS
                known.at = None
                # That one is full says more than that another does not answer.
                if refusal is None or isinstance(error, PoolFullError):
                    refusal = error
            else:
                known.used_at = self._clock()
                return result
        assert refusal is not None  # noqa: S101 -- there is at least one pool
        raise refusal

    async def _has(self, at: int, identifier: str) -> bool:
        """Whether a pool says that it has a session; one that says nothing is not waited for."""
        try:
            return await _look(self._pools[at].pool, identifier) is not None
        except SessionPoolError:
            return False

    async def _look_for(self, identifier: str) -> _Found:
        """Ask all pools for a session."""
        outcomes = await self._of_each(lambda pool: _look(pool, identifier))
        silent: set[int] = set()
        cannot_tell: set[int] = set()
        for at in order_of(identifier, self._endpoints):
            outcome = outcomes[at]
            if isinstance(outcome, SessionPoolError):
                (cannot_tell if isinstance(outcome, NotSupportedError) else silent).add(at)
            elif outcome is not None:
                return _Found(at, outcome, frozenset(silent), frozenset(cannot_tell))
        return _Found(None, None, frozenset(silent), frozenset(cannot_tell))

    async def _of_each(
        self, ask: Callable[[SessionPool], Awaitable[T]]
    ) -> list[T | SessionPoolError]:
        """Ask all pools at once."""
        answers: dict[int, T | SessionPoolError] = {}

        async def one(at: int) -> None:
            try:
                answers[at] = await ask(self._pools[at].pool)
            except SessionPoolError as error:
                answers[at] = error

        async with anyio.create_task_group() as tasks:
            for at in range(len(self._pools)):
                tasks.start_soon(one, at)
        return [answers[at] for at in range(len(self._pools))]

    def _trusted(self, known: _Known) -> int | None:
        fresh = self._clock() - known.used_at < TRUSTED_SECONDS
        return known.at if fresh else None

    def _get(self, identifier: str) -> _Known:
        return self._known.used(identifier, _Known)

    def _names(self, indexes: frozenset[int]) -> str:
        return ", ".join(self._pools[at].name for at in sorted(indexes))

    def _pool_went(self, at: int, error: PoolUnavailableError) -> PoolUnavailableError:
        return PoolUnavailableError(
            f"This session is in {self._pools[at].name}, one of {len(self._pools)} pools, and is "
            f"not moved. {error.message} Its variables and files are there if that pool comes back "
            "in time; restart_session begins a new session in another pool."
        )


def order_of(identifier: str, pools: Sequence[str]) -> tuple[int, ...]:
    """The pools in the order in which a session tries them, by their index. Pure.

    Each pool has a weight for each identifier, and the heaviest comes first. Every replica computes
    the same order without a store, and a pool that is added or taken away moves only its own share.

    Args:
        identifier: the session's.
        pools: their endpoints, in any order: it does not matter.
    """

    def weight(index: int) -> bytes:
        return hashlib.sha256(f"{pools[index]}\0{identifier}".encode()).digest()

    return tuple(sorted(range(len(pools)), key=weight, reverse=True))


async def _look(pool: SessionPool, identifier: str) -> SessionInfo | None:
    with anyio.move_on_after(_LOOK_SECONDS):
        return await pool.get_session(identifier)
    raise PoolUnavailableError("The pool did not say in time whether it has a session.")
