"""The tool that makes transfer links, where clients come over HTTP."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from mcp_types import CallToolResult
from pydantic import AfterValidator, Field

from aca_mcp.errors import FileMissingError
from aca_mcp.paths import without_scheme
from aca_mcp.server.callers import Caller, Callers
from aca_mcp.server.instructions import duration
from aca_mcp.server.results.fitting import text_result
from aca_mcp.server.results.notebook import FILE_NAME, notebook_of
from aca_mcp.server.results.report import join
from aca_mcp.server.results.text import show_name
from aca_mcp.server.sessions.client_sessions import OpenSession
from aca_mcp.server.transfers.download_names import local_name
from aca_mcp.server.transfers.links import Direction, Link, Links
from aca_mcp.server.types import Ctx, SessionHandle

LinkPath = Annotated[
    str,
    Field(description="Relative to the work directory.", min_length=1, max_length=1024),
    AfterValidator(without_scheme),
]


@dataclass(frozen=True, slots=True)
class LinkOffer:
    """What the HTTP side has for the tool."""

    links: Links
    url: Callable[[Ctx, str], str]
    """Of a token, as the client that makes a call can reach it."""


class TransferLinks:
    """Makes links for the calls of one server.

    Args:
        offer: makes the links.
        callers: tell whose sessions a call may use.
    """

    def __init__(
        self,
        offer: LinkOffer,
        callers: Callers,
    ) -> None:
        self._offer = offer
        self._callers = callers

    async def create_transfer_link(
        self, ctx: Ctx, path: LinkPath, direction: Direction, session: SessionHandle = ""
    ) -> CallToolResult:
        """Make a link by which the user moves one file to or from the session, past you.

        For files that are large, or that the user has or wants. `upload` lets them write the file
        at `path`, `download` read it; session.ipynb is what ran. The answer has a curl line: give
        it to the user as it is, or run it where you can. Whoever has the link can use it until it
        expires, and nothing else.
        """
        caller = self._callers.of(ctx.request_context)
        if direction == "download":
            target = await caller.session(session)
            path, size = await _there(target, path)
            url = self._url(ctx, caller, target, path, direction)
            return text_result(_download_text(path, size, url, self._good_for))
        async with caller.session_or_new(session) as (target, remark):
            if remark:
                # Allocated now, as start_session does.
                await target.python.list_files()
            url = self._url(ctx, caller, target, path, direction)
        return text_result(join(remark, _upload_text(path, url, self._good_for)))

    @property
    def _good_for(self) -> str:
        return duration(self._offer.links.lifetime_seconds)

    def _url(
        self, ctx: Ctx, caller: Caller, target: OpenSession, path: str, direction: Direction
    ) -> str:
        name = caller.sessions.link_name(target)
        token = self._offer.links.make(Link(caller.principal, name, path, direction))
        return self._offer.url(ctx, token)


async def _there(session: OpenSession, path: str) -> tuple[str, int]:
    """The path and size in bytes of what a link is for.

    Raises:
        FileMissingError: it is not there.
    """
    try:
        async with session.python.open_file(path) as file:
            return file.entry.path, file.entry.size_bytes
    except FileMissingError:
        if path != FILE_NAME:
            raise
    return path, len(await notebook_of(session.executions))


def _download_text(path: str, size: int, url: str, good_for: str) -> str:
    # Without globbing, curl takes brackets in an address and "#1" in a name for what they are.
    return (
        f"{show_name(path)}, {size:,} bytes. For {good_for} whoever has this link can download "
        f"it, also in a browser, as often as they like:\n{url}\n"
        f"curl --fail --globoff --output {_quoted(path)} {shlex.quote(url)}"
    )


def _upload_text(path: str, url: str, good_for: str) -> str:
    return (
        f"For {good_for} whoever has this link can write {show_name(path)}; sent again, the file "
        "is replaced. In this line, the name after --upload-file is the user's own file:\n"
        f"curl --fail-with-body --globoff --upload-file {_quoted(path)} {shlex.quote(url)}"
    )


def _quoted(path: str) -> str:
    return shlex.quote(f"./{local_name(path)}")
