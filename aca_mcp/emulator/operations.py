"""Every operation of the service, found by its name and answered as the service answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.emulator import service_errors
from aca_mcp.emulator.execution_operations import ExecutionOperations
from aca_mcp.emulator.file_operations import FileOperations
from aca_mcp.emulator.routes import Operation
from aca_mcp.emulator.session_operations import SessionOperations
from aca_mcp.errors import SessionPoolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup
    from starlette.responses import Response

    from aca_mcp.emulator.emulated_sessions import EmulatedSessions
    from aca_mcp.emulator.operation_request import OperationRequest
    from aca_mcp.emulator.options import EmulatorOptions
    from aca_mcp.pool import SessionPool

_NOT_USING = frozenset(
    {
        Operation.GET_EXECUTION,
        Operation.GET_SESSION,
        Operation.DELETE_SESSION,
        Operation.LIST_SESSIONS,
        Operation.MANAGE_GET_SESSION,
        Operation.MANAGE_STOP_SESSION,
        Operation.MANAGE_LIST_SESSIONS,
        Operation.METADATA,
    }
)
"""What no session is allocated for."""


class Operations:
    """The operations of one emulator.

    Args:
        pool: what does the work.
        sessions: what clients have named.
        tasks: where asynchronous executions run.
        options: what the user chose.
    """

    def __init__(
        self,
        pool: SessionPool,
        sessions: EmulatedSessions,
        tasks: TaskGroup,
        options: EmulatorOptions,
    ) -> None:
        self._sessions = sessions
        self._max_concurrent_sessions = options.max_concurrent_sessions
        executions = ExecutionOperations(pool, tasks, is_shell=options.is_shell)
        files = FileOperations(pool, options.max_file_bytes)
        told = SessionOperations(
            pool, sessions, is_shell=options.is_shell, page=options.page_sessions
        )
        self._table: dict[Operation, Callable[[OperationRequest], Awaitable[Response]]] = {
            Operation.EXECUTE: executions.execute,
            Operation.GET_EXECUTION: executions.get,
            Operation.LIST_FILES: files.list,
            Operation.UPLOAD_FILE: files.upload,
            Operation.GET_FILE: files.get,
            Operation.READ_FILE: files.read,
            Operation.DELETE_FILE: files.delete,
            Operation.GET_SESSION: told.get,
            Operation.DELETE_SESSION: told.delete,
            Operation.LIST_SESSIONS: told.list,
            Operation.MANAGE_GET_SESSION: told.manage_get,
            Operation.MANAGE_STOP_SESSION: told.manage_stop,
            Operation.MANAGE_LIST_SESSIONS: told.manage_list,
            Operation.METADATA: told.metadata,
        }

    async def answer(self, request: OperationRequest) -> Response:
        """Do what is asked, or say as the service does why not."""
        operation, session = request.route.operation, request.session
        using = operation not in _NOT_USING
        new = False
        try:
            new = using and await self._sessions.allocate(session)
            response = await self._table[operation](request)
        except service_errors.ServiceError as error:
            response = service_errors.respond(error)
        except SessionPoolError as error:
            active = len(await self._sessions.active())
            refused = service_errors.of_pool(error, active, self._max_concurrent_sessions)
            response = service_errors.respond(refused)
        if using and session.etag:
            response.headers.setdefault("x-ms-new-allocation", "true" if new else "false")
            response.headers["x-ms-session-etag"] = session.etag
            response.headers["x-ms-session-guid"] = session.etag
        return response
