"""The checkpoints of one session, as the process that holds its instance keeps them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from aca_mcp.embedded.session_process import NOTHING_RAN, TOO_OLD, TURNED_OFF
from aca_mcp.execution import LastExecutions
from aca_mcp.wasm.memory import Checkpoint, kept_bytes, take_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.wasm.instance import Instance
    from aca_mcp.wasm.memory import Image

MAX_BYTES = 512 * 2**20
"""Of all checkpoints of a session together; older ones go first."""
TOO_LARGE = f"its variables take more than {MAX_BYTES // 2**20} MiB"


class Checkpoints:
    """The newest checkpoints of a session, and what has run since.

    Args:
        image: the memory that the session began with.
        steps: how many executions can be undone; 0 for no checkpoints.
    """

    def __init__(self, image: Image, steps: int) -> None:
        self._image = image
        # One is of now, as soon as the session is idle.
        self._most = steps + 1 if steps else 0
        # The first costs nothing: it is the image.
        self._kept = deque([Checkpoint(0, len(image), {})][: self._most])
        self.executions = LastExecutions()
        self._is_needless = not steps
        self.why_none = TOO_OLD if steps else TURNED_OFF

    def __len__(self) -> int:
        return len(self._kept)

    def executed(self, number: int, code: str) -> None:
        """Note that the request of this number has run code."""
        self.executions.add(number, code)
        self._is_needless = not self._most

    def take(self, instance: Instance, after: int, is_wanted: Callable[[], bool]) -> None:
        """Keep the instance's memory, unless that is kept already or the instance is wanted.

        Args:
            instance: in which nothing runs.
            after: the number of the last request.
            is_wanted: asked now and then.
        """
        newest = self.newest()
        if self._is_needless or (newest is not None and newest.after >= after):
            return
        made = take_checkpoint(instance, self._image, after, newest, is_wanted=is_wanted)
        if made is None:
            return
        self._kept.append(made)
        while self._kept and (len(self._kept) > self._most or kept_bytes(*self._kept) > MAX_BYTES):
            self._kept.popleft()
        if not self._kept:
            self.why_none = TOO_LARGE
            self._is_needless = True  # until something has run

    def newest(self) -> Checkpoint | None:
        """The last one that was taken, if there is one."""
        return self._kept[-1] if self._kept else None

    def drop_those_since_the_last_execution(self) -> None:
        """Let the ones go that have what the last execution did."""
        if (newest := self.executions.newest) is None:
            self._kept.clear()
            self.why_none = NOTHING_RAN
            return
        while self._kept and self._kept[-1].after >= newest:
            self._kept.pop()
            self.why_none = TOO_OLD
