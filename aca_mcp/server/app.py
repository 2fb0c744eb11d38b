"""Makes the MCP server: which tools it has, and what is promised of each."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mcp_types import ToolAnnotations

from aca_mcp.missing_modules import NOTHING, PackageOffer
from aca_mcp.pool import MAX_IMAGE_SIDE
from aca_mcp.server.instructions import facts_of, instructions, told
from aca_mcp.server.python_server import PythonServer
from aca_mcp.server.tasks import TasksExtension
from aca_mcp.server.tools.execute import ExecutionTools
from aca_mcp.server.tools.files import FileTools
from aca_mcp.server.tools.sessions import SessionTools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from mcp_types import CallToolResult

    from aca_mcp.pool import EnvironmentSummary
    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.callers import Callers
    from aca_mcp.server.in_flight import InFlight
    from aca_mcp.server.tools.links import ResultLinks
    from aca_mcp.server.tools.transfer_link import LinkOffer
    from aca_mcp.server.transfers.host_directory import WorkDir

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
    max_image_side: int = MAX_IMAGE_SIDE
    """Pixels of the longer side of an image in a result."""
    work_dir: Path | None = None
    """The host directory whose files a model may copy, or None for none."""
    result_links: ResultLinks = "auto"
    """Whether results have links to the files that code wrote, beside their names."""
    work_dir_max_bytes: int = 1 << 30
    """How much may be copied there while the server runs."""
    runs: Literal["python", "shell"] = "python"
    """What sessions are, as ``PoolMetadata.runs`` has it."""
    has_processes: bool = True
    """Code can start commands and threads, which no pool tells before it is asked."""
    environments: tuple[EnvironmentSummary, ...] = ()
    """What sessions can be started with, where there is a choice."""
    packages: PackageOffer = NOTHING
    """Which further packages sessions may get."""
    task_after_seconds: float = 5
    """What ends sooner is answered at once, also where the client takes tasks."""
    heartbeat_seconds: float = 10
    """From one progress notification to the next while code prints nothing."""


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
    timeout_seconds = options.execution_timeout_seconds
    is_shell = options.runs == "shell"
    offer = NOTHING if is_shell else options.packages
    facts = facts_of(
        callers.sessions.idle_seconds,
        has_connections=callers.have_connections,
        keeps="files" if is_shell else "variables, imports, functions and files",
    )
    execution = ExecutionTools(
        callers,
        work_dir=work_dir,
        timeout_seconds=timeout_seconds,
        max_text_bytes=options.max_result_tokens * 4,
        max_image_side=options.max_image_side,
        offer=offer,
        result_links=options.result_links,
        task_after_seconds=options.task_after_seconds,
        heartbeat_seconds=options.heartbeat_seconds,
    )
    server = PythonServer(
        callers,
        instructions(
            facts,
            timeout_seconds=timeout_seconds,
            work_dir=work_dir.path if work_dir else "",
            has_links=links is not None,
            runs=options.runs,
            has_processes=options.has_processes,
            installs_packages=offer.is_open,
            pool_chooses_packages=offer.pool_chooses,
        ),
        timeout_seconds=timeout_seconds,
        host_files=work_dir.list_paths if work_dir else None,
        extensions=[TasksExtension(callers, execution.result_of)],
        middleware=[each.middleware for each in (in_flight, callers, audit) if each is not None],
    )
    environments = told(options.environments)
    tools = _tools(callers, options, execution, links, work_dir, offer)
    for tool, (title, promised) in tools.items():
        server.offer(tool, title, promised, {**facts, "environments": environments})
    return server


def _tools(
    callers: Callers,
    options: ServerOptions,
    execution: ExecutionTools,
    links: LinkOffer | None,
    work_dir: WorkDir | None,
    offer: PackageOffer,
) -> dict[Callable[..., Awaitable[CallToolResult]], tuple[str, ToolAnnotations]]:
    """The tools that there are, with their titles and what hosts are promised of them."""
    max_text_bytes = options.max_result_tokens * 4
    way_out = "download_to_work_dir" if work_dir else "create_transfer_link" if links else ""
    is_shell = options.runs == "shell"
    files = FileTools(
        callers,
        max_text_bytes=max_text_bytes,
        max_image_side=options.max_image_side,
        way_out=way_out,
    )
    session = SessionTools(callers, offer=offer, max_text_bytes=max_text_bytes)
    tools: dict[Callable[..., Awaitable[CallToolResult]], tuple[str, ToolAnnotations]] = {}
    if is_shell:
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
        session.restart_session: ("Restart", _WRITE),
        session.start_session: ("Start a session", _ADD),
    }
    if offer.is_open:
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
