"""The tools that run code: in the call, or in the background with others that ask how it goes."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from aca_mcp.code_blocks import unfenced
from aca_mcp.errors import InvalidRequestError, SessionPoolError
from aca_mcp.pool import Execution, OutputCallback, was_not_begun
from aca_mcp.server.callers import Caller
from aca_mcp.server.instructions import duration
from aca_mcp.server.resources.listing import link_to
from aca_mcp.server.results.fitting import MAX_TEXT_BYTES, answer, text_result
from aca_mcp.server.results.progress import run_with_progress
from aca_mcp.server.results.report import Report, join, report
from aca_mcp.server.results.text import clean
from aca_mcp.server.sessions.client_sessions import OpenSession
from aca_mcp.server.sessions.executions import Record
from aca_mcp.server.sessions.runs import Run
from aca_mcp.server.tasks import TASK_AFTER_SECONDS, TaskBegun, takes_tasks
from aca_mcp.server.tools.links import ResultLinks, takes_links
from aca_mcp.server.transfers.host_directory import WorkDir
from aca_mcp.server.transfers.missing_files import hint_about_files
from aca_mcp.server.types import Ctx, SessionHandle

_LONG_BYTES = 50_000
"""Of what an execution wrote: arranging more may take longer than others should wait."""
MAX_WAIT_SECONDS = 50
"""Below the minute after which some clients give a call up."""
Result = TypeVar("Result")


class ExecutionTools:
    """The tools of one server that run code. Their docstrings are written for a model."""

    def __init__(
        self,
        caller: Callable[[Ctx], Awaitable[Caller]],
        *,
        timeout_seconds: float,
        max_text_bytes: int,
        result_links: ResultLinks,
        work_dir: WorkDir | None = None,
        installs_packages: bool = False,
    ) -> None:
        """Describe the tools.

        Args:
            caller: tells whose sessions a call may use.
            timeout_seconds: for an execution whose call says nothing else.
            max_text_bytes: text of one result.
            result_links: whether results have links to files beside their names.
            work_dir: where a file may be that code did not find.
            installs_packages: sessions may get further packages.
        """
        self._result_links: ResultLinks = result_links
        self._caller = caller
        self._work_dir = work_dir
        self._installs_packages = installs_packages
        self._timeout_seconds = timeout_seconds
        self._max_text_bytes = min(max_text_bytes, MAX_TEXT_BYTES)

    async def execute_python(
        self,
        ctx: Ctx,
        code: Annotated[str, Field(max_length=1_000_000)],
        timeout_seconds: Annotated[
            float,
            Field(
                ge=0,
                le=86_400,
                description="0: the default; in the background the longest there is.",
            ),
        ] = 0,
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
        caller = await self._caller(ctx)
        seconds = timeout_seconds or self._timeout_seconds
        if run_in_background and not timeout_seconds:
            # Whoever puts code into the background means it to take long.
            seconds = (await caller.sessions.pool.metadata()).max_timeout_seconds
        async with caller.session_or_new(session) as (target, remark):
            as_task = takes_tasks(ctx) and caller.comes_back and not run_in_background
            if run_in_background or as_task:
                run = target.runs.start(
                    code,
                    target.python,
                    target.log,
                    caller.sessions.tasks,
                    timeout_seconds=seconds,
                    remark=remark if as_task else "",
                )
                if as_task:
                    return await self._result_or_task(ctx, target, run)
                return text_result(join(remark, _begun(run, seconds)))
            execute = partial(target.python.execute, code, timeout_seconds=seconds)
            execution_id = target.log.begin()
            ahead = target.runs.running
            record = Record(execution_id, code, await _with_progress(ctx, execute))
            target.log.add(record)
            if ahead and was_not_begun(record.execution):
                remark = join(remark, _waits_for(ahead))
            return await self._answer(ctx, target, record, remark)

    async def get_execution(
        self,
        ctx: Ctx,
        execution: str,
        wait_seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = 0,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """A background execution's result, or its output so far; earlier results again, too."""
        target = await (await self._caller(ctx)).session(session)
        run = target.runs.get(execution)
        if run is not None and not run.done.is_set():
            await _with_progress(ctx, partial(_wait, run, wait_seconds))
            if not run.done.is_set():
                return text_result(_under_way(run))
        return await self._ended(ctx, target, run, execution)

    async def cancel_execution(
        self, ctx: Ctx, execution: str, session: SessionHandle = ""
    ) -> CallToolResult:
        """Interrupt a background execution. Where the pool can interrupt, its session is kept."""
        target = await (await self._caller(ctx)).session(session)
        run = target.runs.get(execution)
        if run is not None and not run.done.is_set() and not await run.cancel():
            return text_result(
                f"{run.id} does not stop. restart_session ends it, with variables and files.",
                is_error=True,
            )
        return await self._ended(ctx, target, run, execution)

    async def result_of(self, ctx: Ctx, session: OpenSession, run: Run) -> CallToolResult:
        """What a call that waited for a run's end would have returned."""
        try:
            return await self._ended(ctx, session, run, run.id)
        except SessionPoolError as error:
            return text_result(error.message, is_error=True)

    async def _result_or_task(self, ctx: Ctx, session: OpenSession, run: Run) -> CallToolResult:
        try:
            await _with_progress(ctx, partial(_wait, run, TASK_AFTER_SECONDS))
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await run.cancel()
            raise
        if run.done.is_set():
            return await self._ended(ctx, session, run, run.id)
        return TaskBegun(content=[], task=run.task)

    async def _ended(
        self, ctx: Ctx, session: OpenSession, run: Run | None, execution_id: str
    ) -> CallToolResult:
        if run is not None and run.failure is not None:
            raise run.failure
        if (record := session.log.get(execution_id)) is None:
            known = ", ".join(record.id for record in session.log)
            raise InvalidRequestError(
                f"This session has no such execution; it has {known or 'none'}. Older ones are "
                "forgotten."
            )
        return await self._answer(ctx, session, record, run.remark if run is not None else "")

    async def _answer(
        self, ctx: Ctx, session: OpenSession, record: Record, remark: str = ""
    ) -> CallToolResult:
        hint = await hint_about_files(record.execution.error, self._work_dir)
        result = await answer(
            None if record.execution.session_lost else session.python,
            await _reported(
                record.execution, join(remark, hint), installs_packages=self._installs_packages
            ),
            name=f"outputs/{record.id}",
            max_text_bytes=self._max_text_bytes,
        )
        if takes_links(ctx, self._result_links):
            result.content.extend(link_to(session.handle, path) for path in record.execution.files)
        return result


async def _reported(execution: Execution, remark: str, *, installs_packages: bool) -> Report:
    """Arrange a result; a thread does that where it takes long, while others have their turn."""
    arrange = partial(report, execution, remark, installs_packages=installs_packages)
    shown = sum(len(data) for output in execution.outputs for data in output.data.values())
    if execution.stdout.total_bytes + execution.stderr.total_bytes + shown < _LONG_BYTES:
        return arrange()
    return await anyio.to_thread.run_sync(arrange)


async def _with_progress(ctx: Context[Any], run: Callable[..., Awaitable[Result]]) -> Result:
    """Run something that takes ``on_output``, with progress if the client asked for it."""
    meta = ctx.request_context.meta
    if meta is None or "progress_token" not in meta:
        return await run(on_output=None)
    return await run_with_progress(lambda on_output: run(on_output=on_output), ctx.report_progress)


async def _wait(run: Run, seconds: float, *, on_output: OutputCallback | None) -> None:
    if on_output is not None:
        run.listeners.append(on_output)
    try:
        with anyio.move_on_after(seconds):
            await run.done.wait()
    finally:
        if on_output is not None:
            run.listeners.remove(on_output)


def _begun(run: Run, seconds: float) -> str:
    return (
        f"[{run.id} runs in the background, for at most {duration(seconds)}. "
        f'get_execution(execution="{run.id}", wait_seconds=30) tells how it goes; cancel_execution '
        "interrupts it. Other code of the same session waits for its end.]"
    )


def _waits_for(runs: Sequence[Run]) -> str:
    names = ", ".join(run.id for run in runs)
    return (
        f"[The session is busy with {names}, in the background: wait for it with get_execution, "
        "end it with cancel_execution, or use another session.]"
    )


def _under_way(run: Run) -> str:
    return join(
        clean(run.output_so_far).strip("\n"),
        f"[{run.id} is under way since {run.seconds:.0f} s. Ask again with get_execution, or end "
        "it with cancel_execution.]",
    )
