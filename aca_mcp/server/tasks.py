"""The Tasks extension: code that takes long is answered with a task, whose result is asked for.

Only clients of 2026-07-28 that declare the extension get tasks. A task is an execution in the
background, seen by a host instead of a model: it lives where that lives, in its session and this
process, and is found by a name that nobody can guess. Where the next request may reach another
replica no task is begun. Nothing here runs code, or knows how results are shown.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import Context, require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, CallToolResult, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from aca_mcp.server.results.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from mcp_types import CallToolRequestParams

    from aca_mcp.server.callers import Callers
    from aca_mcp.server.sessions.client_sessions import OpenSession
    from aca_mcp.server.sessions.execution import SessionExecution
    from aca_mcp.server.types import Ctx

    Request = ServerRequestContext[Any, Any]
    ResultOf = Callable[[Ctx, OpenSession, SessionExecution], Awaitable[CallToolResult]]

TASKS = "io.modelcontextprotocol/tasks"
_POLL_INTERVAL_MS = 2000
_MAX_CHARACTERS = 500
"""Of a task's message, which is for people who look on; the result has all of it."""


class TaskBegun(CallToolResult):
    """What a tool returns where its result is to be a task."""

    task: str
    """Its name."""


class TaskParams(RequestParams):
    """Which task a request is about."""

    task_id: str


def takes_tasks(request: Request) -> bool:
    """Whether the client of a call understands a task for an answer."""
    if request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    declared = request.session.client_capabilities
    return declared is not None and TASKS in (declared.extensions or {})


class TasksExtension(Extension):
    """Offers executions as tasks.

    Args:
        callers: tell whose tasks a request may see.
        result_of: what the call that began a task would have returned at its end.
    """

    identifier = TASKS

    def __init__(self, callers: Callers, result_of: ResultOf) -> None:
        self._callers = callers
        self._result_of = result_of

    def methods(self) -> Sequence[MethodBinding]:
        """What clients ask of tasks."""
        handlers = {
            "tasks/get": self._get,
            "tasks/update": self._update,
            "tasks/cancel": self._cancel,
        }
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding(method, TaskParams, handler, versions)
            for method, handler in handlers.items()
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Request, call_next: CallNext
    ) -> HandlerResult:
        """Answer with the task where a tool began one."""
        result = await call_next(ctx)
        if not isinstance(result, TaskBegun):
            return result
        _, session, execution = self._find(ctx, result.task)
        return {"resultType": "task", **_described(session, execution), "status": "working"}

    async def _get(self, ctx: Request, params: TaskParams) -> dict[str, Any]:
        context, session, execution = self._find(ctx, params.task_id)
        task = _described(session, execution)
        if not execution.has_ended:
            message = clean(execution.output_so_far).strip()[-_MAX_CHARACTERS:]
            return {
                **task,
                "status": "working",
                "statusMessage": message or f"running for {execution.seconds:.0f} s",
            }
        result = await self._result_of(context, session, execution)
        if execution.was_cancelled:
            (text,) = [block.text for block in result.content if block.type == "text"]
            return {**task, "status": "cancelled", "statusMessage": text}
        return {
            **task,
            "status": "completed",
            "result": result.model_dump(by_alias=True, mode="json", exclude_none=True),
        }

    async def _update(self, ctx: Request, params: TaskParams) -> dict[str, Any]:
        """Take answers to questions, of which no task asks any: what is not asked is ignored."""
        self._find(ctx, params.task_id)
        return {}

    async def _cancel(self, ctx: Request, params: TaskParams) -> dict[str, Any]:
        _, session, execution = self._find(ctx, params.task_id)
        await session.executions.cancel(execution)
        return {}

    def _find(self, ctx: Request, name: str) -> tuple[Ctx, OpenSession, SessionExecution]:
        require_client_extension(ctx, TASKS)
        context: Ctx = Context(request_context=ctx)
        named = decode_header_value((context.headers or {}).get(MCP_NAME_HEADER))
        if ctx.method.startswith("tasks/") and named not in {None, name}:
            raise MCPError(HEADER_MISMATCH, "The Mcp-Name header is not the `taskId` of the body.")
        found = self._callers.of(ctx).find_task(name)
        if found is None:
            raise MCPError(
                INVALID_PARAMS,
                "There is no such task: it is not one of this client's, it was forgotten, or its "
                "session has ended.",
            )
        return context, *found


def _described(session: OpenSession, execution: SessionExecution) -> dict[str, Any]:
    """What every answer about a task has."""
    updated = execution.ended_at or datetime.now(UTC)
    kept_seconds = (updated - execution.begun_at).total_seconds() + session.idle_seconds
    return {
        "taskId": execution.task,
        "createdAt": execution.begun_at.isoformat(),
        "lastUpdatedAt": updated.isoformat(),
        "ttlMs": int(kept_seconds * 1000),
        "pollIntervalMs": _POLL_INTERVAL_MS,
    }
