"""What code of a session asks while it runs: for packages. It is data, and never believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import anyio.abc

from aca_mcp.errors import PackagesNotInstalledError, SessionPoolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aca_mcp.packages.broker import PackageSet

    Bring = Callable[[list[str]], Awaitable[tuple[PackageSet, list[str]]]]
    Send = Callable[[dict[str, object]], Awaitable[None]]

_MAX_CHARACTERS = 1000


class InstallRequests:
    """The questions of one execution: at most one is being answered."""

    def __init__(self, tasks: anyio.abc.TaskGroup, bring: Bring, send: Send) -> None:
        """Nothing is asked yet.

        Args:
            tasks: where answers are made.
            bring: brings packages, and returns them with the directories of all that the session
                was brought, as it sees them: it may have gone back to where it had none.
            send: takes the answer to the session.
        """
        self._tasks = tasks
        self._bring = bring
        self._send = send
        self._scope: anyio.CancelScope | None = None

    def ask(self, question: dict[str, object]) -> None:
        """Begin to answer; a question before it, whose asker was interrupted, is dropped."""
        self.close()
        self._scope = anyio.CancelScope()
        self._tasks.start_soon(self._answer, self._scope, question)

    def close(self) -> None:
        """Stop answering. Few executions have asked, and cancelling takes its time."""
        if self._scope is not None:
            self._scope.cancel()

    async def _answer(self, scope: anyio.CancelScope, question: dict[str, object]) -> None:
        number = question.get("number")
        reply: dict[str, object]
        with scope:
            try:
                made, directories = await self._bring(_requirements_in(question))
                reply = {
                    "paths": directories,
                    "installed": [f"{each.name}-{each.version}" for each in made.installed],
                    "present": [f"{each.name} ({each.version})" for each in made.present],
                }
            except SessionPoolError as error:
                reply = {"error": error.message}
            await self._send({"number": number if isinstance(number, int) else 0, **reply})


def _requirements_in(question: dict[str, object]) -> list[str]:
    given = question.get("requirements")
    if question.get("ask") != "install" or not isinstance(given, list):
        raise PackagesNotInstalledError("That is nothing that a session can ask for.")
    from aca_mcp.packages.requirements import MAX_REQUIREMENTS

    texts = cast("list[object]", given)[: MAX_REQUIREMENTS + 1]
    return [str(text)[:_MAX_CHARACTERS] for text in texts]
