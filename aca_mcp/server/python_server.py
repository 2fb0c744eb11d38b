"""The MCP server: what the SDK's has not, and the one place where errors leave as answers."""

from __future__ import annotations

import inspect
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from mcp.server import MCPServer
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult, PaginatedRequestParams
from pydantic import ValidationError

from aca_mcp import __version__
from aca_mcp.errors import (
    AcaMcpError,
    InvalidRequestError,
    SessionFileError,
    SessionLostError,
    SessionPoolError,
)
from aca_mcp.server.audit import note_failure
from aca_mcp.server.resources.completion import add_completion
from aca_mcp.server.resources.listing import list_resources, templates
from aca_mcp.server.resources.uris import parse
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.results.refusals import refusal
from aca_mcp.server.sessions.client_sessions import OpenSession

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from types import ModuleType

    from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
    from mcp.server.extension import Extension
    from mcp.server.lowlevel import Server
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.mcpserver import Context
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from mcp_types import (
        GetPromptResult,
        InputRequiredResult,
        ListResourcesResult,
        Prompt,
        ResourceTemplate,
        Tool,
        ToolAnnotations,
    )
    from pydantic import AnyUrl
    from pydantic_core import ErrorDetails

    from aca_mcp.server.callers import Callers
    from aca_mcp.server.resources.completion import HostFiles

    Request = ServerRequestContext[Any, Any]

_logger = logging.getLogger(__name__)

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
    """The MCP server over the sessions of one pool. See ``create_server``."""

    def __init__(
        self,
        callers: Callers,
        instructions: str,
        *,
        timeout_seconds: float,
        max_timeout_seconds: float,
        host_files: HostFiles | None = None,
        extensions: Sequence[Extension] = (),
        middleware: Sequence[ServerMiddleware[Any]] = (),
    ) -> None:
        self._callers = callers
        self._timeout_seconds = timeout_seconds
        self._max_timeout_seconds = max_timeout_seconds
        self._parameters: dict[str, dict[str, bool]] = {}
        """Of each tool: name to whether it may be left out."""
        with _rich_left_alone():
            super().__init__(
                "aca-mcp",
                title="Python sessions",
                version=__version__,
                instructions=instructions,
                lifespan=lambda _: callers.lifespan(),
                log_level="WARNING",
                subscriptions=False,  # changes are not announced
                cache_hints=_CACHE_HINTS,
                extensions=extensions,
                middleware=[_contained, *middleware],
            )
        self._lowlevel_server.get_tool_input_schema = _told_in_headers
        self._lowlevel_server.add_request_handler(
            "resources/list", PaginatedRequestParams, self._list_resources
        )
        add_completion(self._lowlevel_server, callers, host_files)
        self._has_work_dir = host_files is not None
        self._has_prompts = False

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

    def offer(
        self,
        tool: Callable[..., Any],
        title: str,
        annotations: ToolAnnotations,
        facts: Mapping[str, object],
    ) -> None:
        """Add a tool.

        Args:
            tool: takes the context first; its signature becomes the schema, and its docstring, with
                the facts filled in, is what a model reads.
            title: for people.
            annotations: what else hosts want to know.
            facts: by the names that docstrings use.
        """
        name = tool.__name__
        taken = list(inspect.signature(tool).parameters.values())[1:]  # after the context
        self._parameters[name] = {each.name: each.default is not each.empty for each in taken}
        self.add_tool(
            tool,
            description=inspect.cleandoc(tool.__doc__ or "").format_map(facts),
            annotations=annotations.model_copy(update={"title": title}),
            structured_output=False,
        )

    async def list_tools(self) -> list[Tool]:
        """The tools, without titles and defaults that say nothing: the list is part of prompts.

        How long code may take at most is the pool's, and so not known to a signature.
        """
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema.pop("title", None)
            for name, parameter in tool.input_schema["properties"].items():
                if name == "timeout_seconds":
                    parameter["maximum"] = self._max_timeout_seconds
                parameter.pop("title", None)
                if not parameter.get("default", True):
                    del parameter["default"]
        return tools

    async def list_prompts(self) -> list[Prompt]:
        """What a person picks from a menu."""
        self._offer_prompts()
        return await super().list_prompts()

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[OpenSession | None, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """One of them, with what the person filled in."""
        offered = {prompt.name: prompt.arguments or () for prompt in await self.list_prompts()}
        if name not in offered:
            raise MCPError(
                INVALID_PARAMS, f"There is no such prompt; there are {', '.join(offered)}."
            )
        takes = {argument.name: argument.required for argument in offered[name]}
        given = set(arguments or ())
        missing = [each for each, needed in takes.items() if needed and each not in given]
        if missing or not given <= takes.keys():
            needs = f" and needs {', '.join(missing)}" if missing else ""
            raise MCPError(INVALID_PARAMS, f"{name} takes {', '.join(takes)}{needs}.")
        return await super().get_prompt(name, arguments, context)

    def _offer_prompts(self) -> None:
        if self._has_prompts:
            return
        from aca_mcp.server.prompts import add_prompts  # a client waits for the start

        add_prompts(cast("MCPServer[object]", self), has_work_dir=self._has_work_dir)
        self._has_prompts = True

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """What can be read, for every client alike."""
        return [*templates(), *await super().list_resource_templates()]

    async def _list_resources(
        self, request: Request, _: PaginatedRequestParams
    ) -> ListResourcesResult:
        return await list_resources(self._callers.of(request), request.protocol_version)

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[OpenSession | None] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; whatever is refused becomes a protocol error that says so."""
        if context is None or (resource := parse(str(uri))) is None:
            return await super().read_resource(uri, context)
        from aca_mcp.server.resources.reading import read  # a client waits for the start

        try:
            caller = self._callers.of(context.request_context)
            return [await read(resource, caller, timeout_seconds=self._timeout_seconds)]
        except SessionPoolError as error:
            code = INVALID_PARAMS if isinstance(error, _NOT_THERE) else INTERNAL_ERROR
            raise MCPError(code, error.message, data={"uri": str(uri)}) from None

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
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            note_failure(error.__cause__ or error)
            match error.__cause__:
                case AcaMcpError() as cause:
                    return refusal(cause)
                case ValidationError() as cause:
                    return text_result(_sentence(name, cause.errors()[0]), is_error=True)
                case Exception() as cause if isinstance(error, UnexpectedToolError):
                    return text_result(_unexpected(name, cause), is_error=True)
                case _:
                    raise


async def _contained(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Answer a request whatever goes wrong with it; the messages of foreign errors stay here."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise  # what the SDK makes answers of
    except Exception as error:
        raise MCPError(INTERNAL_ERROR, _unexpected(ctx.method, error)) from None


def _unexpected(what: str, error: Exception) -> str:
    kind = type(error).__name__
    _logger.error("%s met an error of an unexpected kind: %s", what, kind)
    return (
        f"Something unexpected went wrong in the server ({kind}), and {what} may have done its "
        "work or not. Sessions are kept. Try again; if it stays, it is a fault of aca-mcp."
    )


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
