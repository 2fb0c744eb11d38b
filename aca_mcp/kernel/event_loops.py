"""The event loop of a session, for code that expects one to run, as every cell of a notebook has.

Most code needs none, and runs faster without. So it runs in the loop where it names what needs one,
and from then on. What it began there goes on between executions, and ``asyncio.run`` works in both.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_NAMES = re.compile(
    r"\b(?:create_task|ensure_future|get_event_loop|get_running_loop|TaskGroup|call_soon|call_later)\b"
)


class Loops:
    """Whether the loop is wanted, and its turns between executions."""

    def __init__(self) -> None:
        self._wanted = False

    def are_wanted(self, code: str) -> bool:
        """Whether code is to run in the loop."""
        if not self._wanted and _NAMES.search(code):
            self._wanted = True
            _allow_others()
        return self._wanted

    def is_running(self) -> bool:
        """Whether code runs in a loop now; a cell that it runs, as ``%%capture`` does, has none."""
        asyncio = sys.modules.get("asyncio")
        return asyncio is not None and asyncio._get_running_loop() is not None

    def have_tasks(self) -> bool:
        """Whether code has left something to go on with in the loop."""
        if not self._wanted:
            return False
        import asyncio  # noqa: TID251 -- the loop of the session, which IPython makes

        from IPython.core.async_helpers import get_asyncio_loop

        return bool(asyncio.all_tasks(get_asyncio_loop()))

    def run_until_readable(self, connection: socket.socket, seconds: float | None) -> None:
        """Go on with what code has begun in the loop, until there is something to read.

        Args:
            connection: to read from.
            seconds: to go on for at the most; None for no limit.
        """
        if not self.have_tasks():
            return
        from IPython.core.async_helpers import get_asyncio_loop

        loop = get_asyncio_loop()
        loop.add_reader(connection, loop.stop)
        end = None if seconds is None else loop.call_later(seconds, loop.stop)
        try:
            loop.run_forever()
        finally:
            loop.remove_reader(connection)
            if end is not None:
                end.cancel()


def _allow_others() -> None:
    """Let code that runs in the loop run another one to its end, as a program of its own would."""
    import asyncio  # noqa: TID251 -- see above

    asyncio.run = _aside(asyncio.run)
    if hasattr(asyncio, "Runner"):
        asyncio.Runner.run = _aside(asyncio.Runner.run)
    asyncio.BaseEventLoop.run_until_complete = _aside(asyncio.BaseEventLoop.run_until_complete)


def _nothing_to_swap(_loop: object, _task: object) -> None:
    pass


def _aside(run: Callable[..., Any]) -> Any:
    from asyncio import events, tasks  # noqa: TID251 -- see above

    # Python 3.12 and newer keep the task that runs by thread or loop, and want it put aside too.
    swap_task: Any = getattr(tasks, "_swap_current_task", _nothing_to_swap)

    def run_aside(*args: Any, **kwargs: Any) -> Any:
        outer = events._get_running_loop()
        if outer is None:
            return run(*args, **kwargs)
        task = swap_task(outer, None)
        events._set_running_loop(None)
        try:
            return run(*args, **kwargs)
        finally:
            events._set_running_loop(outer)
            swap_task(outer, task)

    return run_aside
