"""Local pools of several environments behind one port: a template for each that is used.

Which environment a session has, its identifier says (``pool.environment_of``). The default one is
opened at once; another when it is first asked for, and ended when it had no session for a while.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from aca_mcp.environments.choice import environment_summaries
from aca_mcp.errors import (
    AcaMcpError,
    EnvironmentFailedError,
    InvalidRequestError,
    PoolFullError,
    PoolUnavailableError,
)
from aca_mcp.forwarding_pool import ForwardingPool, T
from aca_mcp.local.pool import LocalSessionPool
from aca_mcp.pool import environment_of

if TYPE_CHECKING:
    from aca_mcp.environments.store import Environment, EnvironmentStore
    from aca_mcp.pool import FileDownload, PoolMetadata, Rollback, SessionInfo, SessionPool

_PATIENCE_SECONDS = 45
"""For an environment that is being made; clients give a call about a minute."""
_IDLE_SECONDS = 300
"""After which the template of an environment without sessions is ended."""
_LOOK_SECONDS = 5

OpenPool = Callable[["Environment"], AbstractAsyncContextManager[LocalSessionPool]]


@dataclass(eq=False, slots=True)
class _Served:
    """One environment that sessions are, or will be, served of."""

    name: str
    settled: anyio.Event = field(default_factory=anyio.Event)
    """Set when there is a pool or a failure."""
    pool: LocalSessionPool | None = None
    failure: AcaMcpError | None = None
    users: int = 0

    @property
    def sessions(self) -> int:
        return self.pool.session_count if self.pool is not None else 0


class EnvironmentPools(ForwardingPool):
    """Sessions of all environments. Implements ``SessionPool``.

    Args:
        store: the environments that are there.
        default: of sessions whose identifier names none.
        make_default: makes it, where it is not there.
        open_pool: opens the local pool of one.
        max_sessions: of all together.
        idle_seconds: how long the template of an environment without sessions is kept.
        tasks: the pools live in here.
    """

    def __init__(
        self,
        store: EnvironmentStore,
        default: str,
        make_default: Callable[[], Awaitable[Environment]],
        open_pool: OpenPool,
        *,
        max_sessions: int,
        tasks: anyio.abc.TaskGroup,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._store = store
        self._default = default
        self._make_default = make_default
        self._open_pool = open_pool
        self._max_sessions = max_sessions
        self._tasks = tasks
        self._idle_seconds = idle_seconds
        self._served: dict[str, _Served] = {}

    async def serve_default(self) -> None:
        """Begin with the default one: if it is there, its template is on its way on return."""
        served = self._served[self._default] = _Served(self._default)
        environment = self._store.find(self._default)
        if environment is not None:
            await self._tasks.start(self._serve, served, _given(environment))
        else:
            self._tasks.start_soon(self._serve, served, self._make_default)

    async def _serve(
        self,
        served: _Served,
        obtain: Callable[[], Awaitable[Environment]],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            environment = await obtain()
            with self._store.hold(environment):
                async with self._open_pool(environment) as served.pool:
                    served.settled.set()
                    task_status.started()
                    await self._until_idle(served)
                    self._served.pop(served.name, None)  # nobody finds it while it ends
        except AcaMcpError as error:
            served.failure = error
            self._served.pop(served.name, None)  # whoever asks next tries again
            task_status.started()
        finally:
            served.settled.set()

    async def _until_idle(self, served: _Served) -> None:
        idle_since = anyio.current_time()
        while True:
            await anyio.sleep(min(_LOOK_SECONDS, self._idle_seconds))
            if served.users or served.sessions or served.name == self._default:
                idle_since = anyio.current_time()
            elif anyio.current_time() - idle_since >= self._idle_seconds:
                return

    @asynccontextmanager
    async def _use(self, identifier: str) -> AsyncGenerator[LocalSessionPool]:
        """The pool of a session, which does not end meanwhile."""
        served = self._serving(environment_of(identifier) or self._default)
        served.users += 1
        try:
            pool = await self._settled(served)
            if not pool.has_session(identifier):
                self._see_that_there_is_room()
            yield pool
        finally:
            served.users -= 1

    def _serving(self, name: str) -> _Served:
        """An environment that is served, or begins to be."""
        served = self._served.get(name)
        if served is not None:
            return served
        environment = self._store.find(name)
        if environment is None and name != self._default:
            there = ", ".join(self._store.names())
            raise InvalidRequestError(f"There is no environment {name!r}; there are: {there}.")
        obtain = self._make_default if environment is None else _given(environment)
        served = self._served[name] = _Served(name)
        self._tasks.start_soon(self._serve, served, obtain)
        return served

    async def _settled(self, served: _Served) -> LocalSessionPool:
        if not served.settled.is_set():  # waiting, even for nothing, lets others go first
            with anyio.move_on_after(_PATIENCE_SECONDS):
                await served.settled.wait()
        if served.pool is not None:
            return served.pool
        if isinstance(served.failure, EnvironmentFailedError):
            raise PoolUnavailableError(served.failure.message) from served.failure
        if served.failure is not None:
            raise served.failure
        raise PoolUnavailableError(
            f"The environment {served.name!r} of local sessions is being made for the first time, "
            "which takes about a minute. Nothing was executed. Try again in half a minute."
        )

    def _see_that_there_is_room(self) -> None:
        if sum(served.sessions for served in self._served.values()) >= self._max_sessions:
            raise PoolFullError(
                f"All {self._max_sessions} sessions of the local pool are in use, those of other "
                "environments included. Nothing was executed. End a session that is not needed, "
                "or raise ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS."
            )

    def _find(self, identifier: str) -> LocalSessionPool | None:
        """The pool that has a session already; starts nothing."""
        served = self._served.get(environment_of(identifier) or self._default)
        return served.pool if served is not None else None

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        async with self._use(identifier) as pool:
            return await act(pool)

    async def interrupt(self, identifier: str) -> bool:
        pool = self._find(identifier)
        return pool is not None and await pool.interrupt(identifier)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        async with self._use(identifier) as pool, pool.download_file(identifier, path) as file:
            yield file

    async def get_session(self, identifier: str) -> SessionInfo | None:
        pool = self._find(identifier)
        return await pool.get_session(identifier) if pool is not None else None

    async def keep_alive(self, identifier: str) -> bool:
        pool = self._find(identifier)
        return pool is not None and await pool.keep_alive(identifier)

    async def undo(self, identifier: str) -> Rollback:
        pool = self._find(identifier) or await self._settled(self._serving(self._default))
        return await pool.undo(identifier)

    async def stop_session(self, identifier: str) -> bool:
        pool = self._find(identifier)
        return pool is not None and await pool.stop_session(identifier)

    async def metadata(self) -> PoolMetadata:
        """Of the default environment, with what others there are."""
        pool = await self._settled(self._serving(self._default))
        summaries = environment_summaries(self._store, self._default)
        return (await pool.metadata())._replace(environments=summaries)


def _given(environment: Environment) -> Callable[[], Awaitable[Environment]]:
    async def given() -> Environment:
        return environment

    return given
