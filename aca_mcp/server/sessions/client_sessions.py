"""The sessions of this server's clients, from their first use to their end.

A client has a session of its own for each of its connections, where its transport has those, and
further ones by handle. Each is kept alive while somebody may still come back to it, and ended when
its connection ends or nobody has used it for too long. What was lost is said at the next use.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from aca_mcp.error_boundary import within_boundary
from aca_mcp.errors import (
    HandlesUsedUpError,
    NotSupportedError,
    PoolFullError,
    SessionLostError,
)
from aca_mcp.pool import environment_of
from aca_mcp.server.sessions.execution_store import ExecutionStore
from aca_mcp.server.sessions.handles import (
    HANDLE_PREFIX,
    check_handle,
    derive_identifier,
    derive_key,
    name_in_links,
    new_handle,
)
from aca_mcp.server.sessions.limits import Limits
from aca_mcp.server.sessions.upkeep import Upkeep
from aca_mcp.session import STOP_SECONDS, PythonSession

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.pool import SessionPool
    from aca_mcp.server.sessions.execution_store import SessionExecutions

_CHECKS_PER_IDLE_TIME = 4


@dataclass(frozen=True, eq=False, slots=True)
class OpenSession:
    """A session as a client knows it."""

    python: PythonSession
    executions: SessionExecutions
    idle_seconds: float
    """It is ended when nobody has used it for so long."""
    principal: str = ""
    """Whose it is; empty where clients are not told apart."""
    handle: str = ""
    """What the client calls it; empty for a connection's own."""


class ClientSessions:
    """The sessions of all clients of one server. Nothing is allocated before it is used.

    Args:
        pool: where they come from.
        tasks: for executions in the background; cancelled before the sessions are closed.
        secret: what handles are made with. Servers that share it serve each other's handles;
            None makes handles that are good in this process alone.
        limits: of sessions and of what is kept of them.
    """

    def __init__(
        self,
        pool: SessionPool,
        tasks: anyio.abc.TaskGroup,
        *,
        secret: bytes | None = None,
        limits: Limits | None = None,
    ) -> None:
        # Whoever wrote the pool: what comes out of it here is an error of the tree, or nothing.
        self.pool = within_boundary(pool)
        self._limits = limits or Limits()
        self._executions = ExecutionStore(self._limits)
        self.tasks = tasks
        self.idle_seconds = self._limits.idle_seconds
        self.is_alone = secret is None
        """No other server can be using what is idle here."""
        self._secret = secret or secrets.token_bytes(32)
        self._own: set[OpenSession] = set()
        self._by_handle: dict[str, OpenSession] = {}

    def open_own(self, principal: str) -> OpenSession:
        """A session that belongs to a connection. Give it back with ``end``."""
        python = PythonSession(self.pool, before_allocating=partial(self._see_share, principal))
        session = self._open(python, principal)
        self._own.add(session)
        return session

    def start(self, principal: str, environment: str = "") -> OpenSession:
        """A further session, with a handle of its own.

        Args:
            principal: whose it is.
            environment: what it is to have; empty for the pool's default one.

        Raises:
            HandlesUsedUpError: the client has too many.
        """
        if len(self.by_handle(principal)) >= self._limits.handles:
            raise HandlesUsedUpError(
                f"This client has {self._limits.handles} sessions by handle already. Use one of "
                "them."
            )
        return self._add(principal, new_handle(self._secret, principal, environment))

    def connections_of(self, principal: str) -> int:
        """How many connections a client has."""
        return sum(each.principal == principal for each in self._own)

    def by_handle(self, principal: str) -> list[OpenSession]:
        """A client's sessions by handle."""
        return [each for each in self._by_handle.values() if each.principal == principal]

    async def find(self, principal: str, handle: str) -> OpenSession:
        """The session that a handle stands for.

        * This server knows it, and it is this client's: that is it.
        * It is known as another client's, or not of this secret: refused, as if it were not there.
        * It was made by a server that shares the secret, or was idle for so long that it was
          forgotten: the pool is asked. If it has the session, or cannot tell, the handle is known
          from now on; if two calls find it at once, both get the same object.
        * The pool has no such session: it has ended, or was restarted, and this is said.

        Raises:
            InvalidRequestError: the handle is not one that was made for this client.
            SessionLostError: its session has ended.
        """
        known = self._by_handle.get(handle)
        if known is not None and known.principal == principal:
            return known
        check_handle(self._secret, principal, handle)
        identifier = derive_identifier(self._secret, principal, handle)
        try:
            is_there = await self.pool.get_session(identifier) is not None
        except NotSupportedError:
            is_there = True  # the pool cannot tell: if it is new, the next result says so
        if not is_there:
            raise SessionLostError(
                "The session of this handle has ended: nobody used it for "
                f"{self.idle_seconds / 60:.0f} minutes, it was restarted, or the server was. Its "
                "variables and files are gone. Call start_session for a new one. Nothing was "
                "executed."
            )
        return self._by_handle.get(handle) or self._add(principal, handle, existing=True)

    def link_name(self, session: OpenSession) -> str:
        """What transfer links call a session. It is void once the session was restarted."""
        return session.handle or name_in_links(self._secret, session.python.identifier)

    async def find_linked(self, principal: str, name: str) -> OpenSession:
        """The session of a transfer link.

        Raises:
            SessionLostError: it has ended, or belongs to a connection of another replica.
        """
        if name.startswith(HANDLE_PREFIX):
            return await self.find(principal, name)
        for own in self._own:
            if own.principal == principal and self.link_name(own) == name:
                return own
        raise SessionLostError(
            "The session of this link has ended or was restarted, and its files are gone, or "
            "another replica of this server has it. Ask for a new link. Nothing was moved."
        )

    def derive_key(self, purpose: str) -> bytes:
        """A key of 32 bytes that servers which share the secret have in common."""
        return derive_key(self._secret, purpose)

    async def restart(self, session: OpenSession) -> OpenSession:
        """Begin anew with an empty session. One that had a handle gets another.

        The old identifier is never used again, so the old handle, which stands for it, is not.
        """
        if not session.handle:
            session.executions.clear()
            await session.python.restart()
            return session
        await self.end(session)
        return self.start(session.principal, environment_of(session.python.identifier))

    async def end(self, session: OpenSession, *, within_seconds: float = STOP_SECONDS) -> None:
        """Stop a session, whatever runs in it."""
        self._forget(session)
        await session.python.close(within_seconds=within_seconds)

    async def keep(self) -> None:
        """Keep sessions alive, and end those that were idle for too long, until cancelled."""
        seconds = min(self._limits.keep_alive_seconds, self.idle_seconds / _CHECKS_PER_IDLE_TIME)
        await Upkeep(self._all, self._attend_to, interval_seconds=seconds).run()

    async def close(self, *, within_seconds: float = STOP_SECONDS) -> None:
        """Stop all of them at once, whatever runs in them."""
        async with anyio.create_task_group() as stopping:
            for session in self._all():
                stopping.start_soon(partial(session.python.close, within_seconds=within_seconds))
        for session in self._all():
            self._forget(session)

    def _all(self) -> list[OpenSession]:
        return [*self._own, *self._by_handle.values()]

    def _open(self, python: PythonSession, principal: str, handle: str = "") -> OpenSession:
        executions = self._executions.open(principal)
        return OpenSession(python, executions, self.idle_seconds, principal, handle)

    def _add(self, principal: str, handle: str, *, existing: bool = False) -> OpenSession:
        identifier = derive_identifier(self._secret, principal, handle)
        if existing:
            self._see_share(principal)
        python = PythonSession(
            self.pool,
            identifier=identifier,
            existing=existing,
            before_allocating=partial(self._see_share, principal),
        )
        session = self._by_handle[handle] = self._open(python, principal, handle)
        return session

    def _see_share(self, principal: str) -> None:
        if (most := self._limits.per_principal) is None:
            return
        held = sum(each.principal == principal and each.python.is_allocated for each in self._all())
        if held >= most:
            raise PoolFullError(
                f"This client has {held} sessions, as many as one may have "
                "(ACA_MCP_MAX_SESSIONS_PER_PRINCIPAL). Nothing was executed. Use one of them, or "
                "end a connection."
            )

    def _forget(self, session: OpenSession) -> None:
        self._own.discard(session)
        self._by_handle.pop(session.handle, None)
        self._executions.close(session.executions)

    async def _attend_to(self, session: OpenSession) -> None:
        if session.python.idle_seconds < session.idle_seconds:
            await session.python.keep_alive()
        elif not session.handle:
            await session.python.release(
                f"nobody used it for {session.idle_seconds / 60:.0f} minutes"
            )
        elif self.is_alone:
            await self.end(session)
        else:
            self._forget(session)  # another server may have it in use


@asynccontextmanager
async def open_sessions(
    pool: SessionPool, *, secret: bytes | None = None, limits: Limits | None = None
) -> AsyncGenerator[ClientSessions]:
    """The sessions of a server, for as long as the block lasts; see ``ClientSessions``."""
    async with anyio.create_task_group() as tasks:
        sessions = ClientSessions(pool, tasks, secret=secret, limits=limits)
        tasks.start_soon(sessions.keep)
        try:
            yield sessions
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await sessions.close()
