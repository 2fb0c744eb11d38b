"""The MCP server: who calls, what they can read, and the one boundary where errors leave it."""

from __future__ import annotations

import inspect
import sys
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from mcp.server import MCPServer
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    ListResourcesResult,
    PaginatedRequestParams,
    PromptReference,
    ToolAnnotations,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError

from aca_mcp import __version__
from aca_mcp.errors import (
    AcaMcpError,
    InvalidRequestError,
    SessionFileError,
    SessionLostError,
    SessionPoolError,
)
from aca_mcp.server.audit import FAILED
from aca_mcp.server.callers import Caller
from aca_mcp.server.instructions import facts, instructions, told
from aca_mcp.server.prompts import add_prompts
from aca_mcp.server.resources.completion import complete
from aca_mcp.server.resources.listing import of_connection, templates
from aca_mcp.server.resources.reading import read
from aca_mcp.server.resources.uris import parse
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.sessions.client_sessions import OpenSession, Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
    from types import ModuleType

    from mcp.server.context import ServerRequestContext
    from mcp.server.extension import Extension
    from mcp.server.lowlevel import Server
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from mcp_types import InputRequiredResult, ResourceTemplate, Tool
    from pydantic import AnyUrl
    from pydantic_core import ErrorDetails

    from aca_mcp.pool import EnvironmentSummary
    from aca_mcp.server.audit import AuditLog
    from aca_mcp.server.in_flight import InFlight
    from aca_mcp.server.sessions.connections import HttpConnections
    from aca_mcp.server.transfers.host_directory import WorkDir

_NOT_THERE = (InvalidRequestError, SessionLostError, SessionFileError)
_SAME_FOR_ALL = CacheHint(ttl_ms=3_600_000, scope="public")
_CACHE_HINTS: Mapping[CacheableMethod, CacheHint] = {
    "server/discover": _SAME_FOR_ALL,
    "tools/list": _SAME_FOR_ALL,
    "prompts/list": _SAME_FOR_ALL,
    "resources/templates/list": _SAME_FOR_ALL,
}
"""Lists and contents of resources are each client's own, and may change at any time."""


class PythonServer(MCPServer[OpenSession | None]):
    """The MCP server over the sessions of one pool."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        timeout_seconds: float,
        work_dir: WorkDir | None,
        principal: Callable[[], str],
        http: HttpConnections | None,
        in_flight: InFlight | None,
        audit: AuditLog | None,
        has_links: bool,
        has_processes: bool,
        environments: Sequence[EnvironmentSummary],
        installs_packages: bool,
        extensions: Sequence[Extension],
    ) -> None:
        """Describe a server; see ``create_server``."""
        self._sessions = sessions
        self._principal = principal
        self._http = http
        self._in_flight = in_flight
        self._audit = audit
        self._work_dir = work_dir
        self._facts = facts(sessions, has_connections=http is None)
        self._environments = told(environments)
        self._parameters: dict[str, dict[str, bool]] = {}
        """Of each tool: name to whether it may be left out."""

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
                    timeout_seconds=timeout_seconds,
                    work_dir=work_dir.path if work_dir else "",
                    has_links=has_links,
                    has_processes=has_processes,
                    installs_packages=installs_packages,
                ),
                lifespan=lifespan,
                log_level="WARNING",
                subscriptions=False,  # changes are not announced
                cache_hints=_CACHE_HINTS,
                extensions=extensions,
            )
        self._lowlevel_server.get_tool_input_schema = _told_in_headers
        self._lowlevel_server.add_request_handler(
            "resources/list", PaginatedRequestParams, self._list_resources
        )
        self._lowlevel_server.add_request_handler(
            "completion/complete", CompleteRequestParams, self._complete
        )
        add_prompts(cast("MCPServer[object]", self), has_work_dir=work_dir is not None)

    def offer(self, tool: Callable[..., Any], title: str, annotations: ToolAnnotations) -> None:
        """Add a tool. Its docstring, with the server's facts filled in, is what a model reads.

        Args:
            tool: takes the context first; its signature becomes the schema.
            title: for people.
            annotations: what else hosts want to know.
        """
        name = tool.__name__
        taken = list(inspect.signature(tool).parameters.values())[1:]  # after the context
        self._parameters[name] = {each.name: each.default is not each.empty for each in taken}
        self.add_tool(
            tool,
            description=inspect.cleandoc(tool.__doc__ or "").format(
                retention=self._facts.retention,
                handle_retention=self._facts.handle_retention,
                environments=self._environments,
            ),
            annotations=annotations.model_copy(update={"title": title}),
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

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """What can be read, for every client alike."""
        return [*templates(), *await super().list_resource_templates()]

    async def _list_resources(
        self, context: ServerRequestContext[Any], _: PaginatedRequestParams
    ) -> ListResourcesResult:
        listed = await self.list_resources()
        # Later revisions want a list that does not vary from connection to connection.
        if context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            caller = await self.caller(Context(request_context=context, mcp_server=self))
            if caller.own is not None:
                listed += await of_connection(caller.own)
        return ListResourcesResult(resources=listed)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[OpenSession | None] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; whatever is refused becomes a protocol error that says so."""
        if context is None or (resource := parse(str(uri))) is None:
            return await super().read_resource(uri, context)
        try:
            return [await read(resource, await self.caller(context))]
        except SessionPoolError as error:
            code = INVALID_PARAMS if isinstance(error, _NOT_THERE) else INTERNAL_ERROR
            raise MCPError(code, error.message, data={"uri": str(uri)}) from None

    async def _complete(
        self, context: ServerRequestContext[Any], params: CompleteRequestParams
    ) -> CompleteResult:
        caller = await self.caller(Context(request_context=context, mcp_server=self))
        given = (params.context.arguments if params.context else None) or {}
        argument = params.argument
        return CompleteResult(
            completion=await complete(
                caller,
                argument.name,
                argument.value,
                given.get("session", ""),
                # A prompt's file may be the user's, a resource's is a session's.
                work_dir=self._work_dir if isinstance(params.ref, PromptReference) else None,
            )
        )

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[OpenSession | None, Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; whatever it refuses becomes a result that says so in a sentence."""
        known = self._parameters.get(name, {})
        # Some hosts send what they leave out as null.
        arguments = {
            given: value
            for given, value in arguments.items()
            if value is not None or not known.get(given, False)
        }
        if known and (unknown := [given for given in arguments if given not in known]):
            return text_result(
                f"{name} has no argument {unknown[0]!r}; it takes {', '.join(known)}. "
                "Nothing was executed.",
                is_error=True,
            )
        try:
            with self._in_flight.track() if self._in_flight is not None else nullcontext():
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


def _told_in_headers(_: str) -> None:
    """The arguments of a tool that the SDK is to compare with headers: no tool has any."""


def _sentence(tool: str, error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    fault = error["msg"][:1].lower() + error["msg"][1:]
    return f"{tool}: `{place}`: {fault}. Nothing was executed."
