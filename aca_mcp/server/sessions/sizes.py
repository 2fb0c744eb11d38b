"""What a result takes in memory, and a result that takes less. Pure."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import cast

from aca_mcp.execution import Span
from aca_mcp.pool import Execution, Output, StreamText

_LEAVES = (str, bytes, Span)
_TEXT_SHARE = 4
"""A stream of a result that is too large keeps the bound's fourth part."""


def text_bytes(text: str) -> int:
    """What a text takes: one to four bytes for each character."""
    return sys.getsizeof(text)


def execution_bytes(execution: Execution) -> int:
    """What a result takes, with everything that it holds."""
    return _size(execution)


def reduced(execution: Execution, max_bytes: int) -> Execution:
    """The same result within a bound: displayed values that are too large are only named.

    Args:
        execution: what to keep.
        max_bytes: the room there is. Code, messages and names are small and always kept.
    """
    if execution_bytes(execution) <= max_bytes:
        return execution
    share = max_bytes // _TEXT_SHARE
    room = max_bytes - 2 * share
    outputs: list[Output] = []
    for output in execution.outputs:
        size = _size(output)
        if size > room:
            named = f"[a value of {size:,} bytes, too large to be kept]"
            outputs.append(Output(output.kind, {"text/plain": named}))
        else:
            room -= size
            outputs.append(output)
    return dataclasses.replace(
        execution,
        outputs=tuple(outputs),
        stdout=_shortened(execution.stdout, share),
        stderr=_shortened(execution.stderr, share),
    )


def without_output(execution: Execution) -> Execution:
    """What is kept longest: the code is of use without what came of it."""
    left_out = StreamText("[output left out: later executions needed its place]\n")
    return dataclasses.replace(
        execution, stdout=left_out, stderr=StreamText(), outputs=(), order=()
    )


def _shortened(stream: StreamText, max_bytes: int) -> StreamText:
    if _size(stream) <= max_bytes:
        return stream
    # Four bytes a character at most, for the beginning and the end together.
    characters = max_bytes // 8
    text = stream.text
    head, tail = text[:characters], text[len(text) - characters :]
    kept = len(head.encode(errors="replace")) + len(tail.encode(errors="replace"))
    return StreamText(
        head, tail, stream.total_bytes, omitted_bytes=max(stream.total_bytes - kept, 1)
    )


def _size(value: object) -> int:
    own = sys.getsizeof(value)
    # Thousands of values may be in one result, and others wait for the sum.
    if isinstance(value, _LEAVES):
        return own
    if isinstance(value, dict):
        return own + sum(map(_size, cast("dict[str, object]", value).values()))
    if isinstance(value, tuple):
        return own + sum(map(_size, cast("tuple[object, ...]", value)))
    return own + sum(_size(getattr(value, name)) for name in _fields(type(value)))


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind))
