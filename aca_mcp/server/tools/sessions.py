"""The tools over sessions themselves, and over the packages that a session has."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from aca_mcp.server.callers import Caller
from aca_mcp.server.results.fitting import MAX_TEXT_BYTES, text_result
from aca_mcp.server.results.packages import show_packages
from aca_mcp.server.results.report import join
from aca_mcp.server.results.text import clean, cut
from aca_mcp.server.types import Ctx, SessionHandle


class SessionTools:
    """The tools of one server that begin sessions. Their docstrings are written for a model."""

    def __init__(self, caller: Callable[[Ctx], Awaitable[Caller]], *, max_text_bytes: int) -> None:
        """Describe the tools.

        Args:
            caller: tells whose sessions a call may use.
            max_text_bytes: text of one result.
        """
        self._caller = caller
        self._max_text_bytes = min(max_text_bytes, MAX_TEXT_BYTES)

    async def list_packages(
        self,
        ctx: Ctx,
        query: Annotated[str, Field(description="Names or parts of names, or empty for all.")] = "",
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Tell which packages the session has, with versions, and which of those asked for not."""
        caller = await self._caller(ctx)
        async with caller.session_or_new(session) as (target, remark):
            packages = await target.python.list_packages()
        shown = cut(clean(show_packages(packages, query)), self._max_text_bytes)
        return text_result(join(remark, shown))

    async def restart_session(self, ctx: Ctx, session: SessionHandle = "") -> CallToolResult:
        """Begin anew with an empty session: variables, imports, files and running code are gone.

        There is no way back; download files that are still needed first.
        """
        caller = await self._caller(ctx)
        successor = await caller.sessions.restart(await caller.session(session))
        name = f' Its handle is "{successor.handle}"; the old one is void.' if session else ""
        return text_result(
            "Restarted. Variables, imports and files are gone; the next execution begins in a new "
            f"session.{name}"
        )

    async def start_session(self, ctx: Ctx) -> CallToolResult:
        """Start a session, independent of all others, and return its handle.

        Pass the handle as `session` to the other tools. {handle_retention} Only needed for
        several interpreters at once.
        """
        caller = await self._caller(ctx)
        async with caller.new_session() as started:
            if not caller.sessions.is_alone:
                # Another server that is given the handle takes what is not there for lost.
                await started.python.list_files()
        return text_result(started.handle)
