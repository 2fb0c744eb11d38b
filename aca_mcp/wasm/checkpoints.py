"""The checkpoints of one session, as the process that holds its instance keeps them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from aca_mcp.wasm.memory import Checkpoint, kept_bytes, take_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from aca_mcp.wasm.instance import Instance
    from aca_mcp.wasm.memory import Image

MAX_BYTES = 512 * 2**20
"""Of all checkpoints of a session together; older ones go first."""
_EXECUTIONS_KNOWN = 256
"""Executions that are remembered, to say which ones are undone."""
TURNED_OFF = "they are turned off (ACA_MCP_LOCAL_CHECKPOINTS)"
TOO_LARGE = f"its variables take more than {MAX_BYTES // 2**20} MiB"
TOO_OLD = "the one from before that execution is not there any more"
NOTHING_RAN = "nothing has run in it"


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
        self._executions: deque[tuple[int, str]] = deque(maxlen=_EXECUTIONS_KNOWN)
        self._is_needless = not steps
        self.why_none = TOO_OLD if steps else TURNED_OFF

    def __len__(self) -> int:
        return len(self._kept)

    def executed(self, number: int, begins: str) -> None:
        """Note that the request of this number has run code, which begins so."""
        self._executions.append((number, begins))
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
        if not self._executions:
            self._kept.clear()
            self.why_none = NOTHING_RAN
            return
        while self._kept and self._kept[-1].after >= self._executions[-1][0]:
            self._kept.pop()
            self.why_none = TOO_OLD

    def forget_since(self, checkpoint: Checkpoint) -> tuple[int, str]:
        """Forget the executions that one does not know of; how many, and how the first begins."""
        undone, begins = 0, ""
        while self._executions and self._executions[-1][0] > checkpoint.after:
            _, begins = self._executions.pop()
            undone += 1
        return undone, begins
