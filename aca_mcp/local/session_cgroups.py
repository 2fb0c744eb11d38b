"""The control groups of a pool's sessions, where the host allows some.

* They are looked for beside the start of the pool; no session starts before that has ended.
* A session's group is made first of all, and the process that is to run code enters it before it
  does: whatever it starts is in it. To be put into it by another takes the kernel some 15 ms a
  process, for which it waits for all processes of the machine.
* A session that is freed removes its own. What is left, because its processes outlived a wait, is
  tried again every few seconds, and at the end of the pool, once the template and with it all of
  them are gone.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.background_tasks import guarded, repeated
from aca_mcp.local.cgroups import find_groups

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aca_mcp.local.cgroups import GroupLimits, Groups, SessionGroup


_AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
_AGAIN_SECONDS = 3
"""Between two attempts to remove what is left."""


class ControlGroups:
    """Made by ``open_control_groups``.

    Args:
        limits: of one session.
    """

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._groups: Groups | None = None
        self._looked = anyio.Event()
        self._is_divided_by_session = False

    @property
    def one_share_is_kept(self) -> bool:
        """Whether sessions must be kept from having more shares of processor time than one."""
        return self._is_divided_by_session and not (self._groups and self._groups.divide_time)

    async def keep(self) -> None:
        """Find where they can be made, and see to those that are left, until cancelled.

        Where there are none, the watcher holds sessions alone.
        """
        try:
            await guarded(self._find)
        finally:
            self._looked.set()
        if self._groups is not None:
            await repeated(self._remove_left)

    @asynccontextmanager
    async def for_session(self) -> AsyncGenerator[SessionGroup | None]:
        """Make one for a session that is started within; None where there are none.

        If it does not start, the group is removed: later, where its process is only just ending.

        Raises:
            OSError: the kernel refused.
        """
        await self._looked.wait()
        if self._groups is None:
            yield None
            return
        group = None
        try:
            # Shielded, else nobody would know of it, who could remove it.
            with anyio.CancelScope(shield=True):
                group = await anyio.to_thread.run_sync(self._groups.create, self._limits)
            yield group
        except BaseException:
            if group is not None:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(group.remove, 0)
            raise

    async def _find(self) -> None:
        self._is_divided_by_session = await anyio.to_thread.run_sync(_time_is_divided_by_session)
        self._groups = await anyio.to_thread.run_sync(find_groups)

    async def _remove_left(self) -> None:
        await anyio.sleep(_AGAIN_SECONDS)
        if self._groups is not None and self._groups.are_left:
            await anyio.to_thread.run_sync(self._groups.remove_left)

    async def remove_all(self) -> None:
        """Remove those that are left."""
        if self._groups is not None:
            await anyio.to_thread.run_sync(self._groups.remove_all)


def _time_is_divided_by_session() -> bool:
    """Whether the kernel gives each terminal session one share (sched(7), "autogroup")."""
    try:
        return _AUTOGROUP.read_text(encoding="ascii").strip() != "0"
    except OSError:
        return False


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
