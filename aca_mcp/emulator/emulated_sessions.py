"""The emulator's sessions: the identifiers of its clients, over the sessions of a pool."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from aca_mcp.bounded_mapping import BoundedMapping
from aca_mcp.emulator.service_errors import invalid_identifier, invalid_identifier_length
from aca_mcp.errors import SessionPoolError
from aca_mcp.turn import Turn
from aca_mcp.unrecorded_code import apart, unrecorded

if TYPE_CHECKING:
    from aca_mcp.emulator.execution_requests import ExecutionRequest
    from aca_mcp.emulator.service_errors import ServiceError
    from aca_mcp.pool import Execution, SessionInfo, SessionPool

_IDENTIFIER = re.compile(r"""[a-zA-Z0-9_|}{\[\]:"';<>?/.,@#$%^&*()\-+=!~`]{4,128}""")
MAX_EXECUTIONS = 100
_PREPARATION_SECONDS = 60

_PREPARATION_SOURCE = """
import importlib.util, os, sys, types
from importlib import metadata
if importlib.util.find_spec("pkg_resources") is None:
    module = types.ModuleType("pkg_resources")
    named = [d for d in metadata.distributions() if "Name" in d.metadata]
    module.working_set = [
        types.SimpleNamespace(
            project_name=d.metadata["Name"], key=d.metadata["Name"].lower(), version=d.version
        )
        for d in named
    ]
    sys.modules["pkg_resources"] = module
os.chdir("/")
"""
PREPARATION = unrecorded(apart(_PREPARATION_SOURCE))
"""Run in each new session, to make it what clients find on Azure: ``pkg_resources``, which one of
them asks for the installed packages, and a working directory that is not ``/mnt/data``."""
SHELL_PREPARATION = "None"
"""A shell begins in the work directory, where sessions begin anyway."""


@dataclass(slots=True)
class StoredExecution:
    """An execution that can be asked for."""

    request: ExecutionRequest
    result: Execution | None = None
    failure: SessionPoolError | ServiceError | None = None


@dataclass(slots=True)
class EmulatedSession:
    """A session as its client knows it."""

    identifier: str
    """The client's."""
    pool_identifier: str
    """The pool takes fewer characters, so it has another."""
    etag: str = ""
    allocating: anyio.Lock = field(default_factory=anyio.Lock)
    turn: Turn = field(default_factory=Turn)
    timed_out: int = 0
    """How many executions had no time left. Each aborts those that waited for its end."""
    executions: BoundedMapping[str, StoredExecution] = field(
        default_factory=lambda: BoundedMapping[str, StoredExecution](MAX_EXECUTIONS)
    )
    """Of very many, the last ones."""

    def store(self, execution_id: str, request: ExecutionRequest) -> StoredExecution:
        """Keep an execution."""
        stored = self.executions[execution_id] = StoredExecution(request)
        return stored


POOL_SCOPE = EmulatedSession("", "")
"""In place of a session, for operations on the whole pool."""


class EmulatedSessions:
    """All sessions that clients have named, allocated when they are first used.

    Args:
        pool: what has them.
        preparation: the code that makes a new session what clients find on Azure.
    """

    def __init__(self, pool: SessionPool, preparation: str = PREPARATION) -> None:
        self._pool = pool
        self._preparation = preparation
        self._sessions: dict[str, EmulatedSession] = {}
        # Other users of the pool cannot guess the identifiers that it gets.
        self._secret = secrets.token_hex(16)

    def find(self, identifier: str) -> EmulatedSession:
        """The record of an identifier.

        Raises:
            ServiceError: the service takes no such identifier.
        """
        if not 4 <= len(identifier) <= 128:
            raise invalid_identifier_length()
        if _IDENTIFIER.fullmatch(identifier) is None:
            raise invalid_identifier()
        if (session := self._sessions.get(identifier)) is not None:
            return session
        pool_identifier = hashlib.sha256((self._secret + identifier).encode()).hexdigest()
        return EmulatedSession(identifier, pool_identifier)

    async def allocate(self, session: EmulatedSession) -> bool:
        """See that there is a session, ready for use. True if it is new."""
        self._sessions[session.identifier] = session
        async with session.allocating:
            if await self._pool.get_session(session.pool_identifier) is not None:
                return False
            session.executions.clear()
            session.etag = ""
            try:
                await self._pool.execute(
                    session.pool_identifier, self._preparation, timeout_seconds=_PREPARATION_SECONDS
                )
            except SessionPoolError:
                self._sessions.pop(session.identifier, None)
                raise
            session.etag = str(uuid.uuid4())
        await self.active()  # forgets those that ended, which nobody may ask for again
        return True

    async def look_at(self, session: EmulatedSession) -> SessionInfo | None:
        """What the pool knows of a session, without using it."""
        info = await self._pool.get_session(session.pool_identifier)
        if info is None and not session.allocating.locked():
            self._sessions.pop(session.identifier, None)
        return info

    async def stop(self, session: EmulatedSession) -> bool:
        """End a session. True if there was one."""
        self._sessions.pop(session.identifier, None)
        return await self._pool.stop_session(session.pool_identifier)

    async def active(self) -> list[tuple[EmulatedSession, SessionInfo]]:
        """All sessions that are there, with what the pool knows of them."""
        found = [(each, await self.look_at(each)) for each in tuple(self._sessions.values())]
        return [(session, info) for session, info in found if info is not None]

    async def lose_all(self) -> None:
        """End every session as if the pool had recycled it."""
        for session in tuple(self._sessions.values()):
            await self._pool.stop_session(session.pool_identifier)
