"""Makes the MCP server: which tools it has, and what is promised of each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mcp_types import ToolAnnotations

from aca_mcp.server.instructions import environments_clause, facts_of, instructions
from aca_mcp.server.python_server import PythonServer
from aca_mcp.server.tasks import TasksExtension
from aca_mcp.server.tools.execute import ExecutionTools
from aca_mcp.server.tools.files import FileTools
from aca_mcp.server.tools.sessions import SessionTools
from aca_mcp.server.types import ServerOptions as ServerOptions  # noqa: TC001 -- for others, too

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from mcp_types import CallToolResult

    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.callers import Callers
    from aca_mcp.server.requests_in_flight import InFlight
    from aca_mcp.server.tools.transfer_link import LinkOffer
    from aca_mcp.server.transfers.host_directory import WorkDir

_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADD = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_WRITE = ToolAnnotations(read_only_hint=False, idempotent_hint=True, open_world_hint=False)
_INSTALL = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
_CHANGE = ToolAnnotations(read_only_hint=False, open_world_hint=False)
_EXECUTE = ToolAnnotations(read_only_hint=False, destructive_hint=False)
"""What code destroys is in its own session; whether it reaches a network, the pool decides."""


def create_server(
    callers: Callers,
    options: ServerOptions,
    *,
    in_flight: InFlight | None = None,
    audit: AuditLog | None = None,
    links: LinkOffer | None = None,
    work_dir: WorkDir | None = None,
) -> PythonServer:
    """Make the MCP server over a pool's sessions. It allocates nothing before a tool is called.

    Args:
        callers: whose sessions a call may use. The sessions are not closed with the server.
        options: what the user chose.
        in_flight: counts calls that run, where a transport does not hold a request open for each.
        audit: told of each call of a tool.
        links: makes transfer links, where clients can reach this server over HTTP.
        work_dir: the host directory whose files a model may copy. It is not closed with the server.
    """
    facts = facts_of(
        callers.sessions.idle_seconds,
        has_connections=callers.have_connections,
        keeps="files" if options.runs == "shell" else "variables, imports, functions and files",
    )
    execution = ExecutionTools(callers, options, work_dir)
    server = PythonServer(
        callers,
        instructions(
            facts,
            options,
            work_dir=work_dir.path if work_dir else "",
            has_links=links is not None,
        ),
        timeout_seconds=options.execution_timeout_seconds,
        max_timeout_seconds=options.max_timeout_seconds,
        host_files=work_dir.list_paths if work_dir else None,
        extensions=[TasksExtension(callers, execution.result_of)],
        middleware=[each.middleware for each in (in_flight, callers, audit) if each is not None],
    )
    environments = environments_clause(options.environments)
    tools = _tools(callers, options, execution, links, work_dir)
    for tool, (title, promised) in tools.items():
        server.offer(tool, title, promised, {**facts, "environments": environments})
    return server


def _tools(
    callers: Callers,
    options: ServerOptions,
    execution: ExecutionTools,
    links: LinkOffer | None,
    work_dir: WorkDir | None,
) -> dict[Callable[..., Awaitable[CallToolResult]], tuple[str, ToolAnnotations]]:
    """The tools that there are, with their titles and what hosts are promised of them."""
    way_out = "download_to_work_dir" if work_dir else "create_transfer_link" if links else ""
    files = FileTools(callers, options, way_out=way_out)
    session = SessionTools(callers, options)
    tools: dict[Callable[..., Awaitable[CallToolResult]], tuple[str, ToolAnnotations]] = {}
    if options.runs == "shell":
        from aca_mcp.server.tools.shell import ShellTools  # only where a pool has such sessions

        shell = ShellTools(execution)
        tools[shell.run_shell] = ("Run commands", _EXECUTE)
        tools[shell.execute_python] = ("Run Python", _EXECUTE)
    else:
        tools[execution.execute_python] = ("Run Python", _EXECUTE)
    tools |= {
        execution.get_execution: ("Get a result", _READ),
        execution.cancel_execution: ("Interrupt code", _WRITE),
        files.upload_file: ("Write a file", _WRITE),
        files.download_file: ("Read a file", _READ),
        files.list_files: ("List files", _READ),
        files.delete_file: ("Delete a file", _WRITE),
        session.list_packages: ("List packages", _READ),
        session.restart_session: ("Restart", _CHANGE),
        session.start_session: ("Start a session", _ADD),
    }
    if options.offer.is_open:
        tools[session.install_packages] = ("Install packages", _INSTALL)
    if work_dir is not None:
        from aca_mcp.server.tools.work_dir import WorkDirTools  # only where it was asked for

        copying = WorkDirTools(callers, work_dir)
        tools[copying.list_work_dir] = ("List work directory", _READ)
        tools[copying.upload_from_work_dir] = ("Copy files in", _WRITE)
        tools[copying.download_to_work_dir] = ("Copy files out", _WRITE)
    if links is not None:
        from aca_mcp.server.tools.transfer_link import (
            TransferLinks,  # its cipher is not needed on stdio
        )

        tools[TransferLinks(links, callers).create_transfer_link] = ("Transfer link", _ADD)
    return tools


@contextmanager
def open_work_dir(options: ServerOptions) -> Generator[WorkDir | None]:
    """The work directory that a user chose, for as long as the block lasts; None without one.

    Raises:
        OSError: it cannot be opened.
    """
    if options.work_dir is None:
        yield None
        return
    from aca_mcp.server.transfers.host_directory import WorkDir

    work_dir = WorkDir(options.work_dir, max_written_bytes=options.work_dir_max_bytes)
    try:
        yield work_dir
    finally:
        work_dir.close()
