"""What ran in a session, kept so that it can be read again: whole results, and the notebook.

Memory is bounded: the oldest are forgotten first. Knows nothing of how results are shown.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aca_mcp.pool import StreamText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aca_mcp.pool import Execution

MAX_RECORDS = 200
MAX_BYTES = 4 << 20
"""Of the code, output and figures that one session's records hold together."""


@dataclass(frozen=True, slots=True)
class Record:
    """One execution that has ended."""

    id: str
    """Such as ``execution-3``: the session's third."""
    code: str
    execution: Execution

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        execution = self.execution
        texts = [self.code, execution.stdout.text, execution.stderr.text]
        if execution.error is not None:
            texts.append(execution.error.traceback)
        shown = sum(len(data) for output in execution.outputs for data in output.data.values())
        return sum(map(len, texts)) + shown


class ExecutionLog:
    """The executions of one session, oldest first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._begun = 0
        self._bytes = 0

    def begin(self) -> str:
        """The id of an execution that is about to start."""
        self._begun += 1
        return f"execution-{self._begun}"

    def add(self, record: Record) -> None:
        """Keep an execution that has ended, and forget the oldest where that is too much."""
        self._records[record.id] = record
        self._bytes += record.size_bytes
        for earlier in list(self._records.values())[:-1]:
            if self._bytes <= MAX_BYTES:
                break
            # The code is kept longer than what came of it, which is most of the size.
            self._records[earlier.id] = kept = _without_output(earlier)
            self._bytes -= earlier.size_bytes - kept.size_bytes
        while len(self._records) > MAX_RECORDS or (
            self._bytes > MAX_BYTES and len(self._records) > 1
        ):
            self._bytes -= self._records.popitem(last=False)[1].size_bytes

    def get(self, execution_id: str) -> Record | None:
        """The record of an id, or None if it is not, or no longer, there."""
        return self._records.get(execution_id)

    def clear(self) -> None:
        """Forget all of them, as their session has been."""
        self._records.clear()
        self._bytes = 0

    def __iter__(self) -> Iterator[Record]:
        return iter(tuple(self._records.values()))


def _without_output(record: Record) -> Record:
    left_out = StreamText("[output left out: later executions needed its place]\n")
    execution = replace(
        record.execution, stdout=left_out, stderr=StreamText(), outputs=(), order=()
    )
    return Record(record.id, record.code, execution)
