"""Completes what a person types into a template or a prompt: files, packages, executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp_types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from aca_mcp.errors import SessionPoolError
from aca_mcp.server.resources.uris import CURRENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server

    from aca_mcp.server.callers import Caller, Callers

    HostFiles = Callable[[], Awaitable[Iterable[str]]]
    """The paths in the user's work directory."""

_MOST = 100
"""The protocol's bound (server/utilities/completion)."""


def add_completion(server: Server[Any], callers: Callers, host_files: HostFiles | None) -> None:
    """Have a server complete. The SDK's decorator does not tell who asks, so it is not used."""

    async def handle(
        request: ServerRequestContext[Any, Any], params: CompleteRequestParams
    ) -> CompleteResult:
        given = (params.context.arguments if params.context else None) or {}
        argument, session = params.argument, given.get("session", "")
        return CompleteResult(
            completion=await complete(
                callers.of(request),
                argument.name,
                argument.value,
                session,
                # A prompt's file may be the user's, a resource's is a session's.
                host_files=host_files if isinstance(params.ref, PromptReference) else None,
            )
        )

    server.add_request_handler("completion/complete", CompleteRequestParams, handle)


async def complete(
    caller: Caller,
    argument: str,
    typed: str,
    session: str,
    *,
    host_files: HostFiles | None = None,
) -> Completion:
    """What an argument can be, beginning with what was typed; nothing where that is not known.

    Args:
        caller: whose files and packages are offered.
        argument: its name, as templates and prompts have it.
        typed: so far.
        session: the one that was given before; empty for the connection's own.
        host_files: the user's, where a path may also be one of theirs.
    """
    if argument == "session":
        return _completion([CURRENT] if caller.own is not None else [], typed)
    try:
        theirs: set[str] = set()
        if argument == "path" and host_files is not None:
            theirs.update(await host_files())
        target = await caller.session("" if session == CURRENT else session)
        if argument == "execution":
            return _completion((record.id for record in target.executions.records()), typed)
        if not target.python.is_allocated:
            return _completion(sorted(theirs), typed)
        if argument == "path":
            files = await target.python.list_files(recursive=True)
            names = {file.path for file in files.entries if file.kind == "file"}
            return _completion(sorted(names | theirs), typed)
        if argument == "package":
            return _completion((found.name for found in await target.python.list_packages()), typed)
    except SessionPoolError:
        pass  # a completion that cannot be had is none; reading says why
    return _completion((), typed)


def _completion(candidates: Iterable[str], typed: str) -> Completion:
    found = [text for text in candidates if text.lower().startswith(typed.lower())]
    return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)
