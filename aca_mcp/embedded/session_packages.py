"""How packages reach sessions: the broker brings a set, and the session gets its directory.

Where that lies for a session, and how its interpreter is told of it, is each pool's own business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic

import anyio

from aca_mcp.embedded.live_sessions import Kernel
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.packages.request_limits import PackageRequests
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aca_mcp.embedded.configuration import EmbeddedPoolConfiguration
    from aca_mcp.embedded.live_sessions import SessionInUse
    from aca_mcp.installing.wheels import Target
    from aca_mcp.packages.broker import PackageBroker, PackageSet
    from aca_mcp.pool import Installation


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
