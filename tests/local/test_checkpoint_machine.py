"""Any order of executions, crashes, undos, ends and need of memory, beside what should be there.

The model is what was assigned; a real session of a real pool must have it at each look, or have
said that it is lost.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio.from_thread
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from aca_mcp.errors import NotSupportedError
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, new_identifier
from tests.support.waiting import until

if TYPE_CHECKING:
    from aca_mcp.local.kernel_process import KernelProcess
    from aca_mcp.pool import Execution

CRASHES = ("import os; os._exit(1)", "import os; os.abort()", "import os; os.kill(os.getpid(), 9)")
STEPS = 2


class CheckpointMachine(RuleBasedStateMachine):
    """One session after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(anyio.from_thread.start_blocking_portal())
        self.identifier = new_identifier()
        self.history: list[int | None] = [None]
        """What was assigned: the newest last, which is there now."""
        self.undoable = 0

    @initialize()
    def open(self) -> None:
        opening = open_local_pool(configuration(checkpoints=STEPS))
        self.pool = self.stack.enter_context(self.portal.wrap_async_context_manager(opening))

    def teardown(self) -> None:
        self.stack.close()

    @rule(value=st.integers(0, 99))
    def executes(self, value: int) -> None:
        assert self._run(f"x = {value}").error is None
        self._changed(value)

    @rule(crash=st.sampled_from(CRASHES), value=st.integers(100, 199))
    def crashes(self, crash: str, value: int) -> None:
        has_checkpoint = self.kernel is None or self.kernel_checkpoints > 0
        execution = self._run(f"x = {value}\n{crash}")
        assert (execution.rollback is not None) == has_checkpoint
        assert (execution.session_lost is None) == has_checkpoint
        if not has_checkpoint:
            self._gone()
        self.looks()

    @rule()
    def looks(self) -> None:
        execution = self._run("x if 'x' in dir() else None")
        assert execution.session_lost is None
        found = execution.outputs[0].data["text/plain"] if execution.outputs else "None"
        assert found == str(self.history[-1])
        self._changed(self.history[-1])

    @rule()
    def undoes(self) -> None:
        try:
            undone = self.portal.call(self.pool.undo, self.identifier).executions
        except NotSupportedError:
            assert self.undoable == 0
            return
        assert self.undoable > 0
        assert undone == 1
        self.history.pop()
        self.undoable -= 1
        self.portal.call(self._settle)

    @rule()
    def ends(self) -> None:
        self.portal.call(self.pool.stop_session, self.identifier)
        self._gone()

    @rule()
    def needs_memory(self) -> None:
        if self.kernel is not None and self.kernel.checkpoints is not None:
            for _ in range(STEPS + 1):
                self.portal.call(self.kernel.checkpoints.drop_one, "memory was needed")
            self.undoable = 0

    @property
    def kernel(self) -> KernelProcess | None:
        session = self.pool._sessions.get(self.identifier)  # pyright: ignore[reportPrivateUsage] -- nobody else has it
        return session and session.kernel

    @property
    def kernel_checkpoints(self) -> int:
        assert self.kernel is not None
        assert self.kernel.checkpoints is not None
        return len(self.kernel.checkpoints)

    def _run(self, code: str) -> Execution:
        async def run() -> Execution:
            execution = await self.pool.execute(self.identifier, code, timeout_seconds=50)
            await self._settle()
            return execution

        return self.portal.call(run)

    async def _settle(self) -> None:
        if (kernel := self.kernel) is None or (checkpoints := kernel.checkpoints) is None:
            return

        def is_settled() -> bool:
            checkpoints.take_notices()
            return checkpoints.are_fresh

        await until(is_settled, 40)

    def _changed(self, value: int | None) -> None:
        self.history.append(value)
        self.undoable = min(self.undoable + 1, STEPS, self.kernel_checkpoints - 1)

    def _gone(self) -> None:
        self.history = [None]
        self.undoable = 0


TestCheckpointMachine = CheckpointMachine.TestCase
TestCheckpointMachine.settings = settings(
    max_examples=6,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
