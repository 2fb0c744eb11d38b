"""Makes the MCP server: which tools it has, and what is promised of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_types import (
    ToolAnnotations,
)

from aca_mcp.server.python_server import PythonServer
from aca_mcp.server.tasks import TasksExtension
from aca_mcp.server.tools.execute import ExecutionTools
from aca_mcp.server.tools.files import FileTools
from aca_mcp.server.tools.sessions import SessionTools

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aca_mcp.pool import EnvironmentSummary
    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.callers import Caller
    from aca_mcp.server.in_flight import InFlight
    from aca_mcp.server.sessions.client_sessions import Sessions
    from aca_mcp.server.sessions.connections import HttpConnections
    from aca_mcp.server.tools.links import ResultLinks
    from aca_mcp.server.tools.transfer_link import LinkOffer
    from aca_mcp.server.transfers.host_directory import WorkDir
    from aca_mcp.server.types import Ctx

_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADD = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, idempotent_hint=True, open_world_hint=False)
_INSTALL = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
_EXECUTE = ToolAnnotations(read_only_hint=False, destructive_hint=False)
"""What code destroys is in its own session; whether it reaches a network, the pool decides."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a user can choose about the server."""

    execution_timeout_seconds: float = 60
    """For executions whose call says nothing else."""
    max_result_tokens: int = 10_000
    """Text of one result, in tokens of about 4 bytes."""
    work_dir: Path | None = None
    """The host directory whose files a model may copy, or None for none."""
    result_links: ResultLinks = "auto"
    """Whether results have links to the files that code wrote, beside their names."""
    work_dir_max_bytes: int = 1 << 30
    """How much may be copied there while the server runs."""
    has_processes: bool = True
    """Code can start commands and threads, which no pool tells before it is asked."""
    environments: tuple[EnvironmentSummary, ...] = ()
    """What sessions can be started with, where there is a choice."""
    installs_packages: bool = False
    """Sessions may get further packages."""


def create_server(
    sessions: Sessions,
    options: ServerOptions,
    *,
    principal: Callable[[], str] = lambda: "",
    http: HttpConnections | None = None,
    in_flight: InFlight | None = None,
    audit: AuditLog | None = None,
    links: LinkOffer | None = None,
) -> PythonServer:
    """Make the MCP server over a pool's sessions. It allocates nothing before a tool is called.

    Args:
        sessions: of all clients. They are not closed with the server.
        options: what the user chose.
        principal: who makes the call that is being served; empty where clients are not told apart.
        http: the connections of streamable HTTP, for a server that is served so; None for one
            whose lifespan is a connection's, as on stdio and SSE.
        in_flight: counts calls that run, where a transport does not hold a request open for each.
        audit: told of each call of a tool.
        links: makes transfer links, where clients can reach this server over HTTP.

    Raises:
        OSError: the work directory cannot be opened.
    """
    max_text_bytes = options.max_result_tokens * 4

    async def caller(context: Ctx) -> Caller:
        return await server.caller(context)

    work_dir = _opened(options)
    executing = ExecutionTools(
        caller,
        work_dir=work_dir,
        timeout_seconds=options.execution_timeout_seconds,
        max_text_bytes=max_text_bytes,
        installs_packages=options.installs_packages,
        result_links=options.result_links,
    )
    server = PythonServer(
        sessions,
        timeout_seconds=options.execution_timeout_seconds,
        work_dir=work_dir,
        principal=principal,
        http=http,
        in_flight=in_flight,
        audit=audit,
        has_links=links is not None,
        has_processes=options.has_processes,
        environments=options.environments,
        installs_packages=options.installs_packages,
        extensions=[TasksExtension(caller, executing.result_of)],
    )
    server.offer(executing.execute_python, "Run Python", _EXECUTE)
    server.offer(executing.get_execution, "Get a result", _READ)
    server.offer(executing.cancel_execution, "Interrupt code", _WRITE)
    files = FileTools(
        sessions.pool,
        server.caller,
        max_text_bytes=max_text_bytes,
        way_out="download_to_work_dir" if work_dir else "create_transfer_link" if links else "",
    )
    server.offer(files.upload_file, "Write a file", _WRITE)
    server.offer(files.download_file, "Read a file", _READ)
    server.offer(files.list_files, "List files", _READ)
    server.offer(files.delete_file, "Delete a file", _WRITE)
    session_tools = SessionTools(sessions.pool, server.caller, max_text_bytes=max_text_bytes)
    server.offer(session_tools.list_packages, "List packages", _READ)
    if options.installs_packages:
        server.offer(session_tools.install_packages, "Install packages", _INSTALL)
    server.offer(session_tools.restart_session, "Restart", _WRITE)
    server.offer(session_tools.start_session, "Start a session", _ADD)
    if work_dir is not None:
        from aca_mcp.server.tools.work_dir import WorkDirTools  # only where it was asked for

        work_dir_tools = WorkDirTools(work_dir, server.caller)
        server.offer(work_dir_tools.list_work_dir, "List work directory", _READ)
        server.offer(work_dir_tools.upload_from_work_dir, "Copy files in", _WRITE)
        server.offer(work_dir_tools.download_to_work_dir, "Copy files out", _WRITE)
    if links is not None:
        from aca_mcp.server.tools.transfer_link import (
            TransferLinks,  # its cipher is not needed on stdio
        )

        transfers = TransferLinks(links, sessions.pool, server.caller)
        server.offer(transfers.create_transfer_link, "Transfer link", _ADD)
    return server


def _opened(options: ServerOptions) -> WorkDir | None:
    if options.work_dir is None:
        return None
    from aca_mcp.server.transfers.host_directory import WorkDir

    return WorkDir(options.work_dir, max_written_bytes=options.work_dir_max_bytes)
