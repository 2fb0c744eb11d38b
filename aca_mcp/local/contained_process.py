"""The first process of a session as the supervisor holds it, with what the session has of the host.

It is contained and has run no code. One can be made ahead: a ``KernelProcess`` then runs code in
it, or it is ended.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local import directory_trees
from aca_mcp.local.pidfds import has_ended, pid_behind, wait_ended
from aca_mcp.local.process_group import ProcessGroup
from aca_mcp.local.session_readiness import receive_readiness

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from aca_mcp.local.cgroups import SessionGroup
    from aca_mcp.local.template_process import TemplateProcess

_DEATH_SECONDS = 10


class ContainedProcess:
    """Made by a ``Spawner``; ends with ``end``."""

    def __init__(
        self,
        template: TemplateProcess,
        storage: Path,
        template_pid: int,
        process: int,
        connection: socket.socket,
        stdout: int,
        stderr: int,
        group: SessionGroup | None,
    ) -> None:
        """Hold a process that was just forked.

        Args:
            template: it was forked from.
            storage: its directory, where it has no mount namespace; elsewhere it does not exist.
            template_pid: its number, as the template knows it.
            process: a pidfd.
            connection: to the session's keeper, or to what runs code, where there is no keeper.
            stdout: what is read of it.
            stderr: likewise.
            group: a control group that holds it, and is removed with it.

        Raises:
            OSError: it has ended.
        """
        self.pid = pid_behind(process)
        """Ours until ``end`` has returned."""
        self.processes = ProcessGroup(self.pid, process)
        self.template = template
        self.storage = storage
        self.process = process
        self.connection = connection
        self.stdout, self.stderr = stdout, stderr
        self.group = group
        self.work_directory = ""
        self.base_directory = -1
        """A descriptor of the directory that holds the session's ``data`` and ``incoming``."""
        self.token = b""
        """What marks in its streams begin with."""
        self.ran_out_of_memory = False
        """Known once it has ended."""
        self._template_pid = template_pid
        self._closed_with_it = ExitStack()

    def closes(self, descriptors: ExitStack) -> None:
        """Take over what is closed when nothing of it is left."""
        self._closed_with_it = descriptors

    @property
    def has_ended(self) -> bool:
        """Whether it is gone already, for whatever reason."""
        return self.processes.is_gone or has_ended(self.process)

    async def wait_contained(self) -> None:
        """Wait until it is.

        Raises:
            PoolUnavailableError: a step of the containment failed; no code has run.
            TimeoutError: it took too long.
            OSError: there are no descriptors left.
        """
        said = await receive_readiness(self.connection)
        self.base_directory, self.work_directory = said.base_directory, said.work_directory
        self.token = said.token

    async def end(self, *, wants_status: bool = False) -> int | None:
        """End the session's processes, and free everything it had. Once, and not cancelled.

        Args:
            wants_status: ask for it, which a template that is importing tells only later.

        Returns:
            Its exit code or minus a signal's number. None if nobody wants to know, it does not end
            within seconds, or the template is gone.
        """
        status = None
        self.processes.send(signal.SIGKILL)
        self.processes.is_gone = True
        try:
            with anyio.move_on_after(_DEATH_SECONDS), suppress(PoolUnavailableError):
                await wait_ended(self.process)
                if wants_status:
                    status = await self.template.reap(self._template_pid)
                else:
                    await self.template.let_go(self._template_pid)
        finally:
            with self._closed_with_it:
                if self.base_directory >= 0:
                    os.close(self.base_directory)
                await anyio.to_thread.run_sync(self._remove)
        return status

    def _remove(self) -> None:
        try:
            if self.storage.is_absolute():
                directory_trees.remove_tree(self.storage)
        finally:
            if self.group is not None:
                self.ran_out_of_memory = self.group.ran_out_of_memory()
                self.group.remove()
