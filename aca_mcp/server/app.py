"""Makes the MCP server: its tools, who calls them, and the one boundary where errors leave it."""

from __future__ import annotations

import inspect
import sys
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import ValidationError

from aca_mcp import __version__
from aca_mcp.errors import AcaMcpError
from aca_mcp.server.answers import text_result
from aca_mcp.server.audit import FAILED
from aca_mcp.server.executing import ExecutionTools
from aca_mcp.server.instructions import facts, instructions
from aca_mcp.server.sessions import Caller, OpenSession, Sessions
from aca_mcp.server.tools import Tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path
    from types import ModuleType

    from mcp.server.lowlevel import Server
    from mcp.server.mcpserver import Context
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from mcp_types import InputRequiredResult, Tool
    from pydantic_core import ErrorDetails

    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.connections import HttpConnections
    from aca_mcp.server.transfer_links import LinkOffer
    from aca_mcp.server.work import Work

_READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADD = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_WRITE = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
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


class PythonServer(MCPServer[OpenSession | None]):
    """The MCP server over the sessions of one pool."""

    def __init__(
        self,
        sessions: Sessions,
        options: ServerOptions,
        *,
        principal: Callable[[], str],
        http: HttpConnections | None,
        work: Work | None,
        audit: AuditLog | None,
        has_links: bool,
    ) -> None:
        """Describe a server; see ``create_server``."""
        self._sessions = sessions
        self._principal = principal
        self._http = http
        self._work = work
        self._audit = audit
        self._facts = facts(sessions, has_connections=http is None)
        self._parameters: dict[str, tuple[str, ...]] = {}

        @asynccontextmanager
        async def lifespan(_: MCPServer[OpenSession | None]) -> AsyncGenerator[OpenSession | None]:
            if http is not None:  # entered once for all connections
                yield None
                return
            own = sessions.open_own(principal())
            try:
                yield own
            finally:
                await sessions.end(own)

        with _rich_left_alone():
            super().__init__(
                "aca-mcp",
                title="Python sessions",
                version=__version__,
                instructions=instructions(
                    self._facts,
                    timeout_seconds=options.execution_timeout_seconds,
                    has_work_dir=options.work_dir is not None,
                    has_links=has_links,
                ),
                lifespan=lifespan,
                log_level="WARNING",
                subscriptions=False,  # nothing that is listed ever changes
            )

    def offer(self, tool: Callable[..., Any], annotations: ToolAnnotations) -> None:
        """Add a tool. Its docstring, with the server's facts filled in, is what a model reads."""
        name = tool.__name__
        self._parameters[name] = tuple(inspect.signature(tool).parameters)[1:]  # after the context
        self.add_tool(
            tool,
            description=inspect.cleandoc(tool.__doc__ or "").format(
                retention=self._facts.retention, handle_retention=self._facts.handle_retention
            ),
            annotations=annotations,
            structured_output=False,
        )

    async def list_tools(self) -> list[Tool]:
        """The tools, without titles and defaults that say nothing: the list is part of prompts."""
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema.pop("title", None)
            for parameter in tool.input_schema["properties"].values():
                parameter.pop("title", None)
                if not parameter.get("default", True):
                    del parameter["default"]
        return tools

    @property
    def lowlevel(self) -> Server[OpenSession | None]:
        """What the SDK's transports serve."""
        return self._lowlevel_server

    async def serve(
        self, read: ReadStream[SessionMessage | Exception], write: WriteStream[SessionMessage]
    ) -> None:
        """Serve one connection over a transport's streams, until the first of them ends."""
        await self._lowlevel_server.run(
            read, write, self._lowlevel_server.create_initialization_options()
        )

    async def caller(self, context: Context[Any]) -> Caller:
        """Who makes a call, and which sessions it may use."""
        principal = self._principal()
        own = (
            context.request_context.lifespan_context
            if self._http is None
            else self._http.own_session(context, principal)
        )
        return Caller(self._sessions, principal, own)

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[OpenSession | None, Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; whatever it refuses becomes a result that says so in a sentence."""
        known = self._parameters.get(name, ())
        if known and (unknown := [given for given in arguments if given not in known]):
            return text_result(
                f"{name} has no argument {unknown[0]!r}; it takes {', '.join(known)}. "
                "Nothing was executed.",
                is_error=True,
            )
        try:
            with self._work.going_on() if self._work is not None else nullcontext():
                if self._audit is None:
                    return await super().call_tool(name, arguments, context)
                with self._audit.call(name) as audited:
                    result = await super().call_tool(name, arguments, context)
                    if isinstance(result, CallToolResult) and result.is_error:
                        audited.outcome = FAILED
                    return result
        except ToolError as error:
            match error.__cause__:
                case AcaMcpError() as cause:
                    return text_result(cause.message, is_error=True)
                case ValidationError() as cause:
                    return text_result(_sentence(name, cause.errors()[0]), is_error=True)
                case _:
                    raise


def create_server(
    sessions: Sessions,
    options: ServerOptions,
    *,
    principal: Callable[[], str] = lambda: "",
    http: HttpConnections | None = None,
    work: Work | None = None,
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
        work: counts calls that run, where a transport does not hold a request open for each.
        audit: told of each call of a tool.
        links: makes transfer links, where clients can reach this server over HTTP.

    Raises:
        OSError: the work directory cannot be opened.
    """
    server = PythonServer(
        sessions,
        options,
        principal=principal,
        http=http,
        work=work,
        audit=audit,
        has_links=links is not None,
    )
    max_text_bytes = options.max_result_tokens * 4
    executing = ExecutionTools(
        server.caller,
        timeout_seconds=options.execution_timeout_seconds,
        max_text_bytes=max_text_bytes,
    )
    server.offer(executing.execute_python, _EXECUTE)
    server.offer(executing.get_execution, _READ)
    server.offer(executing.cancel_execution, _WRITE)
    has_work_dir = options.work_dir is not None
    tools = Tools(
        sessions.pool,
        server.caller,
        max_text_bytes=max_text_bytes,
        way_out="download_to_work_dir" if has_work_dir else "create_transfer_link" if links else "",
    )
    server.offer(tools.upload_file, _WRITE)
    server.offer(tools.download_file, _READ)
    server.offer(tools.list_files, _READ)
    server.offer(tools.delete_file, _WRITE)
    server.offer(tools.list_packages, _READ)
    server.offer(tools.restart_session, _WRITE)
    server.offer(tools.start_session, _ADD)
    if options.work_dir is not None:
        from aca_mcp.server.transfer import Transfer  # only where it was asked for

        transfer = Transfer(options.work_dir, server.caller)
        server.offer(transfer.upload_from_work_dir, _WRITE)
        server.offer(transfer.download_to_work_dir, _WRITE)
    if links is not None:
        from aca_mcp.server.transfer_links import TransferLinks  # its cipher is not needed on stdio

        transfers = TransferLinks(links, sessions.pool, server.caller)
        server.offer(transfers.create_transfer_link, _ADD)
    return server


@contextmanager
def _rich_left_alone() -> Generator[None]:
    """Keep the SDK from importing rich for its logging, which the command has set up already."""
    if "rich" in sys.modules:
        yield
        return
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules["rich"] = None  # so that importing it fails, as if it were not installed
    try:
        yield
    finally:
        del modules["rich"]


def _sentence(tool: str, error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    fault = error["msg"][:1].lower() + error["msg"][1:]
    return f"{tool}: `{place}`: {fault}. Nothing was executed."
