"""The tools that run code: in the call, or in the background with others that ask how it goes."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
import anyio.to_thread
from mcp_types import CallToolResult
from pydantic import Field

from aca_mcp.code_blocks import hint_about_fences, unfenced
from aca_mcp.errors import InvalidRequestError, SessionPoolError
from aca_mcp.pool import Execution, OutputCallback, was_not_begun
from aca_mcp.server.callers import Callers
from aca_mcp.server.instructions import duration
from aca_mcp.server.resources.listing import link_to
from aca_mcp.server.results.fitting import answer, text_result
from aca_mcp.server.results.progress import run_with_progress
from aca_mcp.server.results.refusals import refusal
from aca_mcp.server.results.report import Report, join, report, takes_long, told_of_cancelled
from aca_mcp.server.results.text import clean
from aca_mcp.server.sessions.client_sessions import OpenSession
from aca_mcp.server.sessions.execution import SessionExecution
from aca_mcp.server.tasks import TaskBegun, takes_tasks
from aca_mcp.server.tools.resource_links import takes_links
from aca_mcp.server.types import Ctx, ServerOptions, SessionHandle, TimeoutSeconds

if TYPE_CHECKING:
    from aca_mcp.server.transfers.host_directory import WorkDir

MAX_WAIT_SECONDS = 50
"""Below the minute after which some clients give a call up."""
Result = TypeVar("Result")


class ExecutionTools:
    """The tools of one server that run code. Their docstrings are written for a model.

    Args:
        callers: tell whose sessions a call may use.
        options: what the user chose.
        work_dir: where a file may be that code did not find.
    """

    def __init__(
        self, callers: Callers, options: ServerOptions, work_dir: "WorkDir | None" = None
    ) -> None:
        self._callers = callers
        self._options = options
        self._work_dir = work_dir

    async def execute_python(
        self,
        ctx: Ctx,
        code: Annotated[str, Field(max_length=1_000_000)],
        timeout_seconds: TimeoutSeconds = 0,
        run_in_background: bool = False,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Run Python in an isolated session that keeps variables, imports and files between calls.

        {retention} Returns what was printed, the value of the last expression, errors with their
        traceback, and every figure as an image. IPython: %magics, !shell commands, display() and
        top-level await work; input() does not. At the timeout code is interrupted, and state is
        kept. For what takes minutes, run_in_background returns an id at once; ask with
        get_execution.
        """
        code = unfenced(code)
        request = ctx.request_context
        caller = self._callers.of(request)
        seconds = timeout_seconds or self._options.execution_timeout_seconds
        if run_in_background and not timeout_seconds:
            # Whoever puts code into the background means it to take long.
            seconds = (await caller.sessions.pool.metadata()).max_timeout_seconds
        as_task = not run_in_background and caller.comes_back and takes_tasks(request)
        async with caller.session_or_new(session) as (target, remark):
            ahead = target.executions.running_in_background()
            execution = target.executions.begin(
                code, remark=remark, in_background=run_in_background or as_task
            )
            if execution.in_background:
                caller.sessions.tasks.start_soon(execution.run_apart, target.python, seconds)
            if run_in_background:
                return text_result(join(remark, _begun(execution, seconds)))
            if as_task:
                return await self._result_or_task(ctx, target, execution)

            run = partial(execution.run, target.python, seconds)
            result = await self._with_progress(ctx, run)
            if ahead and was_not_begun(result):
                execution.remark = join(remark, _waits_for(ahead))
            return await self._answer(ctx, target, execution, result)

    async def get_execution(
        self,
        ctx: Ctx,
        execution: str,
        wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 0,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """A background execution's result, or its output so far; earlier results again."""
        target = await self._callers.of(ctx.request_context).session(session)
        found = _find(target, execution)
        if not await self._with_progress(
            ctx, lambda heard: found.wait(wait_seconds, on_output=heard)
        ):
            return text_result(_under_way(found))
        return await self._ended(ctx, target, found)

    async def cancel_execution(
        self, ctx: Ctx, execution: str, session: SessionHandle = ""
    ) -> CallToolResult:
        """Interrupt a background execution. Where the pool can interrupt, its session is kept."""
        target = await self._callers.of(ctx.request_context).session(session)
        found = _find(target, execution)
        had_ended = found.has_ended
        if not await target.executions.cancel(found):
            return text_result(
                f"{found.id} does not stop. restart_session ends it, with variables and files.",
                is_error=True,
            )
        if had_ended or not found.was_cancelled:
            remark = f"[{found.id} had ended already, with this:]"
            return await self._ended(ctx, target, found, remark)
        shown = await self.result_of(ctx, target, found)
        # What was asked for was done; that it took the session along was not asked for.
        shown.is_error = found.result is not None and found.result.session_lost is not None
        return shown

    async def result_of(
        self, ctx: Ctx, session: OpenSession, execution: SessionExecution
    ) -> CallToolResult:
        """What a call that waited for the end would have returned."""
        try:
            return await self._ended(ctx, session, execution)
        except SessionPoolError as error:
            return refusal(error)

    async def _result_or_task(
        self, ctx: Ctx, session: OpenSession, execution: SessionExecution
    ) -> CallToolResult:
        try:
            ended = await self._with_progress(
                ctx, lambda heard: execution.wait(self._options.task_after_seconds, on_output=heard)
            )
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await session.executions.cancel(execution)
            raise
        if ended:
            return await self._ended(ctx, session, execution)
        return TaskBegun(content=[], task=execution.task)

    async def _ended(
        self, ctx: Ctx, session: OpenSession, execution: SessionExecution, remark: str = ""
    ) -> CallToolResult:
        if execution.result is None:
            raise execution.failure or _forgotten(session)
        return await self._answer(ctx, session, execution, execution.result, remark)

    async def _answer(
        self,
        ctx: Ctx,
        session: OpenSession,
        execution: SessionExecution,
        result: Execution,
        remark: str = "",
    ) -> CallToolResult:
        hint = ""
        if result.error is not None and result.error.name == "SyntaxError":
            hint = hint_about_fences(execution.code)
        elif result.error is not None and self._work_dir is not None:
            from aca_mcp.server.transfers.missing_files import hint_about_files  # seldom needed

            hint = await hint_about_files(result.error, self._work_dir)
        earlier = told_of_cancelled(execution.earlier_rollback)
        remark = join(remark, execution.remark, earlier, hint)
        shown = await answer(
            None if result.session_lost else session.python,
            await _reported(result, remark, self._options),
            name=f"outputs/{execution.id}",
            max_text_bytes=self._options.max_text_bytes,
            max_image_side=self._options.max_image_side,
        )
        if result.files and takes_links(ctx, self._options.result_links):
            shown.content.extend(link_to(session.handle, path) for path in result.files)
        return shown

    async def _with_progress(
        self, ctx: Ctx, run: Callable[[OutputCallback | None], Awaitable[Result]]
    ) -> Result:
        """Run something that takes a callback for output; progress if the client asked for it."""
        meta = ctx.request_context.meta
        if meta is None or "progress_token" not in meta:
            return await run(None)
        return await run_with_progress(
            run, ctx.report_progress, heartbeat_seconds=self._options.heartbeat_seconds
        )


async def _reported(execution: Execution, remark: str, options: ServerOptions) -> Report:
    """Arrange a result; a thread does that where it takes long, while others have their turn."""
    arrange = partial(
        report, execution, remark, offer=options.offer, max_image_side=options.max_image_side
    )
    return await anyio.to_thread.run_sync(arrange) if takes_long(execution) else arrange()


def _find(session: OpenSession, execution_id: str) -> SessionExecution:
    if (found := session.executions.get(execution_id)) is None:
        raise _forgotten(session)
    return found


def _forgotten(session: OpenSession) -> InvalidRequestError:
    known = ", ".join(session.executions.ids())
    return InvalidRequestError(
        f"This session has no such execution; it has {known or 'none'}. Older ones are forgotten."
    )


def _begun(execution: SessionExecution, seconds: float) -> str:
    name = execution.id
    return (
        f"[{name} runs in the background, for at most {duration(seconds)}. "
        f'get_execution(execution="{name}", wait_seconds=30) tells how it goes; cancel_execution '
        "interrupts it. Other code of the same session waits for its end.]"
    )


def _waits_for(executions: Sequence[SessionExecution]) -> str:
    names = ", ".join(each.id for each in executions)
    return (
        f"[The session is busy with {names}, in the background: wait for it with get_execution, "
        "end it with cancel_execution, or use another session.]"
    )


def _under_way(execution: SessionExecution) -> str:
    return join(
        clean(execution.output_so_far).strip("\n"),
        f"[{execution.id} has been under way for {duration(execution.seconds)}. Ask again with "
        "get_execution, or end it with cancel_execution.]",
    )
