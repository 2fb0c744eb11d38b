"""How packages reach sessions: the broker brings a set, and the session gets its directory.

Where that lies for a session, and how its interpreter is told of it, is each pool's own business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, cast

import anyio
import anyio.abc

from aca_mcp.embedded.live_sessions import Kernel
from aca_mcp.errors import PackagesNotInstalledError, SessionPoolError
from aca_mcp.packages.request_limits import PackageRequests
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration
    from aca_mcp.embedded.live_sessions import SessionInUse
    from aca_mcp.installing.wheels import Target
    from aca_mcp.packages.broker import PackageBroker, PackageSet
    from aca_mcp.pool import Installation

    Bring = Callable[[list[str]], Awaitable[tuple[PackageSet, list[str]]]]
    Send = Callable[[dict[str, object]], Awaitable[None]]

_MAX_CHARACTERS = 1000
"""Of what code asks for: it is data, and never believed."""


class SessionPackages(ABC, Generic[Kernel]):
    """What sessions of one pool may install.

    Args:
        broker: makes what brings packages; None where none may be installed.
        configuration: of the pool.
    """

    def __init__(
        self, broker: Callable[[], PackageBroker] | None, configuration: EmbeddedPoolConfiguration
    ) -> None:
        self._broker = broker
        self._requests = PackageRequests()
        self._disk_bytes = configuration.disk_bytes
        self._max_timeout_seconds = configuration.max_timeout_seconds
        self._grace_seconds = configuration.interrupt_grace_seconds

    @abstractmethod
    async def _interpreter(self) -> tuple[Target, Mapping[str, str]]:
        """That of every session, and what it has from its start: normalized name to version."""

    @abstractmethod
    async def _give(self, kernel: Kernel, directory: Path, size_bytes: int) -> str:
        """Let a session see the directory of a set; where it sees it."""

    async def bring(
        self, identifier: str, kernel: Kernel, requirements: list[str]
    ) -> tuple[PackageSet, list[str]]:
        """Bring packages for a session, in a directory that is its kernel's from then on.

        Returns:
            What was brought, and the directories of all that it has, as it sees them.

        Raises:
            PackagesNotInstalledError: it was not permitted or not possible.
        """
        if self._broker is None:
            self._requests.refuse(identifier, requirements)
        target, from_its_start = await self._interpreter()
        added = {name: version for name, (version, _) in kernel.added_packages.items()}
        made = await self._broker().provide(
            requirements,
            target,
            installed={**from_its_start, **added},
            who=identifier,
            added=added,
        )
        if made.directory is not None:
            directory = await self._give(kernel, made.directory, made.size_bytes)
            kernel.added_packages |= {
                each.name: (each.version, directory) for each in made.installed
            }
        found = (directory for _, directory in kernel.added_packages.values())
        return made, list(dict.fromkeys(found))

    async def install(
        self, identifier: str, use: SessionInUse[Kernel], requirements: list[str]
    ) -> Installation:
        """Bring packages for a session in which no code asks for them.

        Raises:
            PackagesNotInstalledError: as ``bring``, or code of it runs on and on.
        """
        made, directories = await self.bring(identifier, use.kernel, requirements)
        if directories:
            deadline = anyio.current_time() + self._max_timeout_seconds
            async with use.session.turn.take(deadline) as waited:
                if waited is not Waited.TAKEN:
                    late = waited is Waited.TOO_LATE
                    why = "Earlier code of this session still runs" if late else "The session ended"
                    raise PackagesNotInstalledError(f"{why}. Nothing was installed.")
                await use.kernel.request(
                    {"op": "add", "paths": directories},
                    deadline=deadline,
                    grace_seconds=self._grace_seconds,
                )
        return made

    def _check_room(self, used_bytes: float, size_bytes: int) -> None:
        if used_bytes + size_bytes > self._disk_bytes:
            left = max(0, self._disk_bytes - used_bytes)
            raise PackagesNotInstalledError(
                f"The packages have {size_bytes // 2**20:,} MiB, and this session has "
                f"{left // 2**20:,.0f} of its {self._disk_bytes // 2**20:,} MiB left "
                "(ACA_MCP_LOCAL_DISK_MIB). Nothing was installed."
            )


class InstallRequests:
    """The questions of one execution: at most one is being answered."""

    def __init__(self, tasks: anyio.abc.TaskGroup, bring: Bring, send: Send) -> None:
        """Nothing is asked yet.

        Args:
            tasks: where answers are made.
            bring: brings packages, and returns them with the directories of all that the session
                was brought, as it sees them: it may have gone back to where it had none.
            send: takes the answer to the session.
        """
        self._tasks = tasks
        self._bring = bring
        self._send = send
        self._scope: anyio.CancelScope | None = None

    def ask(self, question: dict[str, object]) -> None:
        """Begin to answer; a question before it, whose asker was interrupted, is dropped."""
        self.close()
        self._scope = anyio.CancelScope()
        self._tasks.start_soon(self._answer, self._scope, question)

    def close(self) -> None:
        """Stop answering. Few executions have asked, and cancelling takes its time."""
        if self._scope is not None:
            self._scope.cancel()

    async def _answer(self, scope: anyio.CancelScope, question: dict[str, object]) -> None:
        number = question.get("number")
        reply: dict[str, object]
        with scope:
            try:
                made, directories = await self._bring(_requirements_in(question))
                reply = {
                    "paths": directories,
                    "installed": [f"{each.name}-{each.version}" for each in made.installed],
                    "present": [f"{each.name} ({each.version})" for each in made.present],
                }
            except SessionPoolError as error:
                reply = {"error": error.message}
            await self._send({"number": number if isinstance(number, int) else 0, **reply})


def _requirements_in(question: dict[str, object]) -> list[str]:
    given = question.get("requirements")
    if question.get("ask") != "install" or not isinstance(given, list):
        raise PackagesNotInstalledError("That is nothing that a session can ask for.")
    from aca_mcp.packages.requirements import MAX_REQUIREMENTS

    texts = cast("list[object]", given)[: MAX_REQUIREMENTS + 1]
    return [str(text)[:_MAX_CHARACTERS] for text in texts]
