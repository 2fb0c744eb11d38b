"""The sessions that a local pool keeps ready.

The first is early: it is forked before the template has imported everything, for a client that
sends code as soon as it is connected. If nobody takes it, the next one replaces it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.background_tasks import guarded
from aca_mcp.embedded.ready_sessions import ReadySessions
from aca_mcp.local.kernel_process import KernelProcess

if TYPE_CHECKING:
    import anyio.abc

    from aca_mcp.local.spawn import Spawner
    from aca_mcp.local.template_replacement import Templates


class LocalReadySessions(ReadySessions[KernelProcess]):
    """As the others, and with an early one.

    Args:
        spawner: starts sessions.
        templates: are told when somebody waits.
        tasks: those that ended while they were ready are freed in here.
        target: how many to keep.
    """

    def __init__(
        self, spawner: Spawner, templates: Templates, tasks: anyio.abc.TaskGroup, target: int
    ) -> None:
        super().__init__(spawner.spawn, tasks, target)
        self._templates = templates

    def somebody_waits(self) -> None:
        """Have the template answer before it has imported everything."""
        self._templates.answer_now()

    async def keep(self) -> None:
        """Start sessions ahead whenever there are too few, until cancelled."""
        if self.target:
            await guarded(self._start_early)
        await super().keep()

    async def _start_early(self) -> None:
        self._templates.answer_now()
        early = await self.start_ahead()
        if early is not None and await self.start_ahead() is not None:
            await self.end_unless_taken(early)
