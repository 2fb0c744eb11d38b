"""What a result takes in memory, and a result that takes less. Pure."""

from __future__ import annotations

import functools
import operator
import sys
from typing import TYPE_CHECKING, Any

from aca_mcp.execution import Span
from aca_mcp.pool import Execution, Output, StreamText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TEXT_SHARE = 4
"""A stream of a result that is too large keeps the bound's fourth part."""


def reduced(execution: Execution, max_bytes: int) -> Execution:
    """The same result within a bound: displayed values that are too large are only named.

    Args:
        execution: what to keep.
        max_bytes: the room there is. Code, messages and names are small and always kept.
    """
    if size_of(execution) <= max_bytes:
        return execution
    share = max_bytes // _TEXT_SHARE
    room = max_bytes - 2 * share
    outputs: list[Output] = []
    for output in execution.outputs:
        size = size_of(output)
        if size > room:
            named = f"[a value of {size:,} bytes, too large to be kept]"
            outputs.append(Output(output.kind, {"text/plain": named}))
        else:
            room -= size
            outputs.append(output)
    return execution._replace(
        outputs=tuple(outputs),
        stdout=_shortened(execution.stdout, share),
        stderr=_shortened(execution.stderr, share),
    )


def without_output(execution: Execution) -> Execution:
    """What is kept longest: the code is of use without what came of it."""
    left_out = StreamText("[output left out: later executions needed its place]\n")
    return execution._replace(stdout=left_out, stderr=StreamText(), outputs=(), order=())


def _shortened(stream: StreamText, max_bytes: int) -> StreamText:
    if size_of(stream) <= max_bytes:
        return stream
    # Four bytes a character at most, for the beginning and the end together.
    characters = max_bytes // 8
    text = stream.text
    head, tail = text[:characters], text[len(text) - characters :]
    kept = len(head.encode(errors="replace")) + len(tail.encode(errors="replace"))
    return StreamText(
        head, tail, stream.total_bytes, omitted_bytes=max(stream.total_bytes - kept, 1)
    )


def size_of(value: object) -> int:
    """What a value takes in bytes, with everything that it holds: of a text 1 to 4 a character."""
    # Without a call for each: thousands of values may be in one result, and others wait for it.
    size, pending = 0, [value]
    while pending:
        held = pending.pop()
        size += sys.getsizeof(held)
        if (parts := _parts_of(type(held))) is not None:
            pending.extend(filter(None, parts(held)))  # what is empty or 0 is there once for all
    return size


@functools.cache
def _parts_of(kind: type[Any]) -> Callable[[Any], Iterable[object]] | None:
    """What gives the values that one of this type holds; None where it holds none."""
    if issubclass(kind, dict):
        return operator.methodcaller("values")
    if issubclass(kind, tuple) and kind is not Span:
        return iter
    return None
