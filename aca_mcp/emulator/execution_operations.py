"""The operations on executions."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from starlette.responses import JSONResponse, Response

from aca_mcp.emulator import response_bodies as bodies
from aca_mcp.emulator import service_errors
from aca_mcp.emulator.execution_requests import (
    ShellCommand,
    read_python_request,
    read_shell_request,
)
from aca_mcp.errors import SessionPoolError
from aca_mcp.pool import Execution, ExecutionStatus, StreamText, not_begun
from aca_mcp.turn import Waited

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from aca_mcp.emulator.emulated_sessions import EmulatedSession, StoredExecution
    from aca_mcp.emulator.operation_request import OperationRequest
    from aca_mcp.pool import SessionPool


class ExecutionOperations:
    """Running code, or a shell pool's programs, and asking for what came of it.

    Args:
        pool: what does the work.
        tasks: where asynchronous executions run.
        is_shell: the pool that is emulated has a shell and no Python.
    """

    def __init__(self, pool: SessionPool, tasks: TaskGroup, *, is_shell: bool) -> None:
        self._pool = pool
        self._tasks = tasks
        self._read = read_shell_request if is_shell else read_python_request

    async def execute(self, request: OperationRequest) -> Response:
        """Run, and answer with the result or, in the newer dialect, before there is one."""
        asked = self._read(request.fields)
        execution_id = request.http.headers.get("operation-id") or str(uuid.uuid4())
        session = request.session
        stored = session.store(execution_id, asked)
        if asked.kind == "Asynchronous" and request.dialect == "flat":
            self._tasks.start_soon(self._run, session, stored)
        else:
            await self._run(session, stored)
        response = self._response(request, execution_id, stored)
        if stored.result is not None and stored.result.started_session:
            # It died between being found alive and being used.
            session.etag = str(uuid.uuid4())
            response.headers["x-ms-new-allocation"] = "true"
        return response

    async def get(self, request: OperationRequest) -> Response:
        """What came of an execution, as far as it has come."""
        stored = request.session.executions.get(request.route.name)
        if stored is None:
            raise service_errors.no_execution(request.route.name)
        return self._response(request, request.route.name, stored)

    async def _run(self, session: EmulatedSession, stored: StoredExecution) -> None:
        try:
            stored.result = await self._result(session, stored)
        except SessionPoolError as error:
            stored.failure = error
        except Exception as error:
            # In the background nobody above could answer for it, and it would end the emulator.
            stored.failure = service_errors.internal_error(error)

    async def _result(self, session: EmulatedSession, stored: StoredExecution) -> Execution:
        asked = stored.request
        before = session.timed_out
        deadline = anyio.current_time() + asked.timeout_seconds
        async with session.turn.take(deadline) as waited:
            if waited is Waited.TOO_LATE:
                return not_begun(asked.timeout_seconds)
            if session.timed_out != before:
                return _aborted()
            seconds = deadline - anyio.current_time()
            code = asked.code.program() if isinstance(asked.code, ShellCommand) else asked.code
            if code is not asked.code or not asked.names_timeout:
                # Who has not asked for so long is not refused where the pool below allows less.
                seconds = min(seconds, (await self._pool.metadata()).max_timeout_seconds)
            result = await self._pool.execute(
                session.pool_identifier, code, timeout_seconds=max(seconds, 0.001)
            )
            if result.status is ExecutionStatus.TIMED_OUT:
                session.timed_out += 1
            return result

    def _response(
        self, request: OperationRequest, execution_id: str, stored: StoredExecution
    ) -> Response:
        if stored.failure is not None:
            raise stored.failure
        asked, result = stored.request, stored.result
        identifier = request.session.identifier
        if result is not None and isinstance(asked.code, ShellCommand):
            body = bodies.shell_execution_body(
                execution_id, identifier, result, asked.form, asked.timeout_seconds
            )
            return JSONResponse(body)
        if result is not None and request.dialect == "legacy":
            return JSONResponse(bodies.legacy_execution_body(result, asked.form))
        if result is not None and request.dialect == "python":
            return JSONResponse(bodies.earliest_execution_body(result, asked.form))
        body = bodies.execution_body(execution_id, identifier, asked.kind, result, asked.form)
        query = f"api-version={request.version}&identifier={quote(identifier, safe='')}"
        location = f"{request.base_url}/executions/{quote(execution_id, safe='')}?{query}"
        return JSONResponse(
            body, headers={"operation-id": execution_id, "Operation-Location": location}
        )


def _aborted() -> Execution:
    """Of code that waited for earlier code whose time ran out: Jupyter drops what is queued."""
    return Execution(
        execution_id="",
        status=ExecutionStatus.CANCELED,
        stdout=StreamText(),
        stderr=StreamText(),
        outputs=(),
        error=None,
        duration_seconds=0,
        started_session=False,
    )
