"""Any order of executions, crashes, cancellations, undos, ends and need of memory, beside what
should be there.

The model is what was assigned; a real session of a real pool must have it at each look, or have
said that it is lost.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from aca_mcp.errors import NotSupportedError
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import are_fresh, configuration, control_groups, new_identifier
from tests.support.processes import descendants
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
    def opens(self) -> None:
        self.strangers = descendants()
        opening = open_local_pool(configuration(checkpoints=STEPS))
        self.opened = ExitStack()
        self.pool = self.opened.enter_context(self.portal.wrap_async_context_manager(opening))

    @rule()
    def shuts_down_and_opens(self) -> None:
        groups = control_groups(descendants(without=self.strangers))
        self.opened.close()
        assert descendants(without=self.strangers) == set()
        assert [group for group in groups if group.exists()] == []
        self._gone()
        self.opens()

    def teardown(self) -> None:
        self.opened.close()
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

    @rule(
        crash=st.sampled_from([*CRASHES, "import time; time.sleep(20)"]),
        value=st.integers(200, 299),
        after=st.floats(0, 0.1),
    )
    def cancels(self, crash: str, value: int, after: float) -> None:
        """At any moment: before it begins, while it runs, and while a copy takes its place."""

        async def run() -> None:
            before = self._seen_from_outside
            with anyio.move_on_after(after):
                code = f"x = {value}\n{crash}"
                await self.pool.execute(self.identifier, code, timeout_seconds=50)
            if self._seen_from_outside != before:  # else it did not begin, and no copy comes of it
                await self._settle()

        self.portal.call(run)
        execution = self._run("x if 'x' in dir() else None")
        if (
            execution.rollback is not None
        ):  # what was cancelled has ended only since, and this tells
            execution = self._run("x if 'x' in dir() else None")
        found = execution.outputs[0].data["text/plain"] if execution.outputs else "None"
        if execution.started_session or execution.lost_before is not None:
            self._gone()
        assert found in {str(self.history[-1]), str(value)}
        self.history[-1] = None if found == "None" else int(str(found))
        self._changed(self.history[-1])
        self._know_only_this()

    @rule(values=st.lists(st.integers(300, 399), min_size=2, max_size=4))
    def executes_at_once(self, values: list[int]) -> None:
        """One after the other."""

        async def run() -> None:
            async with anyio.create_task_group() as tasks:
                for value in values:
                    tasks.start_soon(partial(self.pool.execute, timeout_seconds=50), *args(value))

        def args(value: int) -> tuple[str, str]:
            return self.identifier, f"x = {value}"

        self.portal.call(run)
        found = self._run("x").outputs[0].data["text/plain"]
        assert str(found) in map(str, values)
        self.history.append(int(str(found)))
        self._know_only_this()

    @rule()
    def idles_out(self) -> None:
        """Nobody uses it for the cooldown."""
        sessions = self.pool._sessions  # pyright: ignore[reportPrivateUsage] -- as below
        cooldown, sessions.registry.cooldown_seconds = sessions.registry.cooldown_seconds, 0
        self.portal.call(sessions.end_expired)
        sessions.registry.cooldown_seconds = cooldown
        assert self.kernel is None
        self._gone()

    @rule()
    def undoes(self) -> None:
        try:
            undone = self.portal.call(self.pool.undo, self.identifier).executions
        except NotSupportedError:
            assert self.undoable <= 0
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
    def _seen_from_outside(self) -> tuple[KernelProcess | None, list[tuple[int, str]]]:
        checkpoints = self.kernel and self.kernel.checkpoints
        return self.kernel, [*(checkpoints.executions if checkpoints else ())]

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
        def is_settled() -> bool:
            # Which one is there is looked at each time: one that was ended gets no copies any more.
            if (kernel := self.kernel) is None or (checkpoints := kernel.checkpoints) is None:
                return True
            return are_fresh(checkpoints)

        await until(is_settled, 40)

    def _changed(self, value: int | None) -> None:
        self.history.append(value)
        self.undoable = min(self.undoable + 1, STEPS, self.kernel_checkpoints - 1)

    def _know_only_this(self) -> None:
        """How many copies there are from before is not known: let there be the newest alone."""
        assert self.kernel is not None
        assert self.kernel.checkpoints is not None
        while self.kernel_checkpoints > 1:
            self.portal.call(self.kernel.checkpoints.drop_one, "memory was needed")
        self.undoable = 0

    def _gone(self) -> None:
        self.history = [None]
        self.undoable = 0


TestCheckpointMachine = CheckpointMachine.TestCase
TestCheckpointMachine.settings = settings(max_examples=6, stateful_step_count=12)
