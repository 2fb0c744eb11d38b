"""Every operation of the service, found by its name and answered as the service answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.emulator import service_errors
from aca_mcp.emulator.execution_operations import ExecutionOperations
from aca_mcp.emulator.file_operations import FileOperations
from aca_mcp.emulator.routes import Operation
from aca_mcp.emulator.session_operations import PAGE_SESSIONS, SessionOperations
from aca_mcp.errors import SessionPoolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup
    from starlette.responses import Response

    from aca_mcp.emulator.emulated_sessions import EmulatedSessions
    from aca_mcp.emulator.operation_request import OperationRequest
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
        max_concurrent_sessions: said when the pool is full.
        is_shell: the pool that is emulated has a shell and no Python.
        page_sessions: how many sessions a list has at once.
        max_file_bytes: of a file that clients may send.
    """

    def __init__(
        self,
        pool: SessionPool,
        sessions: EmulatedSessions,
        tasks: TaskGroup,
        max_concurrent_sessions: int,
        *,
        is_shell: bool = False,
        page_sessions: int = PAGE_SESSIONS,
        max_file_bytes: int = service_errors.MAX_FILE_BYTES,
    ) -> None:
        self._sessions = sessions
        self._max_concurrent_sessions = max_concurrent_sessions
        executions = ExecutionOperations(pool, tasks, is_shell=is_shell)
        files = FileOperations(pool, max_file_bytes)
        told = SessionOperations(pool, sessions, is_shell=is_shell, page=page_sessions)
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
