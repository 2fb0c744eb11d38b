"""The control groups of a pool's sessions, where the host allows some.

* They are looked for beside the start of the pool; no code runs before that has ended.
* A session's group is made and joined beside its start; no code runs before that has ended.
* A session that is freed removes its own. What is left, because its removal failed or its processes
  outlived a wait, is removed at the end of the pool, once the template and with it all of them are
  gone.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.embedded.background import guarded
from aca_mcp.local.cgroups import find_groups

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.cgroups import GroupLimits, Groups
    from aca_mcp.local.kernel_process import KernelProcess


class ControlGroups:
    """Made by ``open_control_groups``.

    Args:
        limits: of one session.
    """

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._groups: Groups | None = None
        self._looked = anyio.Event()

    @property
    def divide_time(self) -> bool:
        """Whether they give each session one share of processor time."""
        return self._groups is not None and self._groups.divide_time

    async def look(self) -> None:
        """Find where they can be made. Where that fails, the watcher holds sessions alone."""
        try:
            await guarded(self._find)
        finally:
            self._looked.set()

    async def looked(self) -> None:
        """Wait until ``look`` has ended."""
        await self._looked.wait()

    async def hold(self, kernel: KernelProcess, held: anyio.Event) -> None:
        """Put a session into one of its own, or end it; then set the event."""
        try:
            if not await guarded(self._join, kernel):
                kernel.kill_soon("its limits could not be set up")
        finally:
            held.set()

    async def _find(self) -> None:
        self._groups = await anyio.to_thread.run_sync(find_groups)

    async def _join(self, kernel: KernelProcess) -> None:
        if self._groups is not None:
            # Between the two nobody knows of the group, who could remove it.
            with anyio.CancelScope(shield=True):
                group = await anyio.to_thread.run_sync(self._groups.create, self._limits)
                await kernel.join(group)

    async def remove_all(self) -> None:
        """Remove those that are left."""
        if self._groups is not None:
            await anyio.to_thread.run_sync(self._groups.remove_all)


@asynccontextmanager
async def open_control_groups(limits: GroupLimits) -> AsyncGenerator[ControlGroups]:
    """Groups for the sessions of a pool; enter it before what has their processes.

    Args:
        limits: of one session.
    """
    groups = ControlGroups(limits)
    try:
        yield groups
    finally:
        with anyio.CancelScope(shield=True):
            await guarded(groups.remove_all)
