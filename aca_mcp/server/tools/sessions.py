"""The tools over sessions themselves, and over the packages that a session has."""

import re
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import BeforeValidator, Field

from aca_mcp.errors import InvalidRequestError
from aca_mcp.server.callers import Callers
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.results.report import join
from aca_mcp.server.results.text import clean, cut
from aca_mcp.server.types import Ctx, ServerOptions, SessionHandle

_BETWEEN_NAMES = re.compile(r"(?<=[^\s,;])[,\s]+(?=[A-Za-z])")
"""As a command line has them; what follows a name has commas and blanks, too: ``x >=2, <3``."""


def _in_a_list(packages: object) -> object:
    """Packages as a list; hosts and models send a single one, or a line of them, as text."""
    return _BETWEEN_NAMES.split(packages) if isinstance(packages, str) else packages


class SessionTools:
    """The tools of one server that begin sessions. Their docstrings are written for a model.

    Args:
        callers: tell whose sessions a call may use.
        options: what the user chose.
    """

    def __init__(self, callers: Callers, options: ServerOptions) -> None:
        self._callers = callers
        self._offer = options.offer
        self._max_text_bytes = options.max_text_bytes

    async def list_packages(
        self,
        ctx: Ctx,
        query: str = "",
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Tell which packages the session has, by either name, and which could be installed."""
        from aca_mcp.server.results.packages import show_packages  # a client waits for the start

        caller = self._callers.of(ctx.request_context)
        async with caller.session_or_new(session) as (target, remark):
            packages = await target.python.list_packages()
        shown = cut(clean(show_packages(packages, query, self._offer)), self._max_text_bytes)
        return text_result(join(remark, shown))

    async def restart_session(
        self,
        ctx: Ctx,
        session: SessionHandle = "",
        undo: bool = False,
    ) -> CallToolResult:
        """Begin anew with an empty session: variables, imports, files and running code are gone.

        There is no way back: download what is needed first. With `undo`, variables alone go
        back, to before the last execution.
        """
        caller = self._callers.of(ctx.request_context)
        target = await caller.session(session)
        if undo:
            rollback = await target.python.undo()
            target.executions.undo(rollback)
            before = "it" if rollback.executions <= 1 else "them"
            return text_result(
                f"Undone: {clean(rollback.undone)}. Variables are as they were before {before}; "
                "files keep what was written to them."
            )
        successor = await caller.sessions.restart(target)
        name = f' Its handle is "{successor.handle}"; the old one is void.' if session else ""
        return text_result(
            "Restarted. Variables, imports and files are gone; the next execution begins in a new "
            f"session.{name}"
        )

    async def install_packages(
        self,
        ctx: Ctx,
        packages: Annotated[
            list[str],
            BeforeValidator(_in_a_list),
            Field(max_length=100, description='Names, with versions if need be: "openpyxl>=3".'),
        ],
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Let the session import further packages. Takes seconds; variables and files stay.

        They come as wheels from the index that the server is configured for, by name alone. The
        next import works, without a restart. Code can say %pip install as well.
        """
        from aca_mcp.server.results.packages import show_installation

        caller = self._callers.of(ctx.request_context)
        async with caller.session_or_new(session) as (target, remark):
            made = await target.python.install_packages(*packages)
        return text_result(join(remark, clean(show_installation(made))))

    async def start_session(
        self,
        ctx: Ctx,
        environment: str = "",
    ) -> CallToolResult:
        """Start a further session, and return its handle.

        Pass the handle as `session` to the other tools. {handle_retention} For several
        interpreters at once{environments}.
        """
        caller = self._callers.of(ctx.request_context)
        if environment:
            metadata = await caller.sessions.pool.metadata()
            known = [each.name for each in metadata.environments]
            if environment not in known:
                there = f"are: {', '.join(known)}" if known else "is but the default one"
                raise InvalidRequestError(
                    f"There is no environment {environment[:40]!r}; there {there}. No session was "
                    "started."
                )
        async with caller.new_session(environment) as started:
            # There is one from now on: a full pool says so here, and another server that is given
            # the handle would take what is not there for lost.
            await started.python.list_files()
        return text_result(started.handle)
