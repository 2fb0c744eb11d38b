"""What ran in a session as a Jupyter notebook (nbformat 4.5). Pure."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import anyio.to_thread

from aca_mcp.pool import ExecutionError, StreamPart
from aca_mcp.server.results.report import join
from aca_mcp.server.results.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aca_mcp.pool import Execution, Output
    from aca_mcp.server.sessions.execution_store import Record, SessionExecutions

    Json = Mapping[str, object]

MIME_TYPE = "application/x-ipynb+json"
FILE_NAME = "session.ipynb"
"""Of the notebook of a session, where it has no file of that name."""
MAX_OUTPUT_BYTES = 4 << 20
"""Of the outputs of all cells together, in UTF-8: a client reads the whole as one message."""
_MAX_JSON_CHARACTERS = 10_000
_UNDONE = {
    "output_type": "display_data",
    "data": {
        "text/markdown": "*Undone: variables went back to what they were before this cell.*",
        "text/plain": "[Undone: variables went back to what they were before this cell.]",
    },
    "metadata": {},
}


async def notebook_of(executions: SessionExecutions) -> bytes:
    """The notebook of a session, as a file has it."""
    text = await anyio.to_thread.run_sync(notebook, executions.records(), executions.forgotten)
    return text.encode()


def notebook(records: Iterable[Record], left_out: int = 0) -> str:
    """The notebook as JSON, a cell for each execution, oldest first. Takes its time.

    The code is always there; what is left out of its output for the sake of size is said.

    Args:
        records: what ran.
        left_out: how many executions came before these.
    """
    outputs = _Outputs()
    cells = [outputs.cell(number, record) for number, record in enumerate(records, left_out + 1)]
    document = {
        "cells": [_about_left_out(left_out), *cells] if left_out else cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return text.encode(errors="replace").decode()  # half of a character is none


def _about_left_out(count: int) -> Json:
    earlier = "One earlier execution is" if count == 1 else f"{count:,} earlier executions are"
    return {
        "cell_type": "markdown",
        "id": "left-out",
        "metadata": {},
        "source": f"*{earlier} left out: of a session the newest are kept.*",
    }


class _Outputs:
    """Makes cells' outputs, as Jupyter would have written them, within a budget of bytes."""

    def __init__(self) -> None:
        self._left = MAX_OUTPUT_BYTES

    def cell(self, number: int, record: Record) -> Json:
        is_told = record.is_undone and record.execution.rollback is None  # else its error says so
        return {
            "cell_type": "code",
            "execution_count": number,
            "id": record.id,
            # By which Jupyter's tools leave cells out.
            "metadata": {"tags": ["undone"]} if record.is_undone else {},
            "outputs": [*self._of(number, record.execution), *([_UNDONE] if is_told else [])],
            "source": record.code,
        }

    def _of(self, number: int, execution: Execution) -> Iterator[Json]:
        for item in execution.timeline:
            if isinstance(item, StreamPart):
                text = self._fitting(clean(item.text))
                yield {"output_type": "stream", "name": item.stream, "text": text}
                continue
            shown: Json = {"data": self._bundle(item), "metadata": {}}
            if item.kind == "result":
                yield {"output_type": "execute_result", "execution_count": number, **shown}
            else:
                yield {"output_type": "display_data", **shown}
        if (error := execution.error or _ended(execution)) is not None:
            yield {
                "output_type": "error",
                "ename": error.name,
                "evalue": error.message,
                "traceback": self._fitting(clean(error.traceback)).splitlines(),
            }

    def _bundle(self, output: Output) -> Json:
        bundle: dict[str, object] = {}
        for mime_type, content in output.data.items():
            if not self._has_room(content):
                bundle["text/plain"] = f"[{mime_type} left out: the notebook would be too large]"
                continue
            if isinstance(content, bytes):
                bundle[mime_type] = base64.b64encode(content).decode()
            elif mime_type == "application/json":
                # A scalar is what values carry for readers of ours; a front end would prefer it to
                # the value's text, and show null for nan.
                if isinstance(parsed := _parsed(content), (dict, list)):
                    bundle[mime_type] = parsed
            else:
                bundle[mime_type] = content
        if output.remarks:
            told = "\n".join(f"[{remark}]" for remark in output.remarks)
            bundle["text/plain"] = join(str(bundle.get("text/plain", "")), told)
        return bundle

    def _fitting(self, text: str) -> str:
        return (
            text if self._has_room(text) else "[output left out: the notebook would be too large]\n"
        )

    def _has_room(self, content: str | bytes) -> bool:
        """Take what a content needs from the budget, if there is so much."""
        if isinstance(content, bytes):
            size = len(content) * 4 // 3
        else:
            size = len(content.encode(errors="replace"))
        if size > self._left:
            return False
        self._left -= size
        return True


def _ended(execution: Execution) -> ExecutionError | None:
    """That code ended more than itself, as an error; None if it did not."""
    if execution.session_lost is not None:
        name = "SessionLost"
        message = f"{execution.session_lost}; variables and files were gone then"
    elif (rollback := execution.rollback) is not None:
        name = "ProcessEnded"
        message = f"{rollback.reason}; variables were as before {rollback.extent} then"
    else:
        return None
    return ExecutionError(name, message, f"{name}: {message}")


def _parsed(text: str) -> object:
    if len(text) > _MAX_JSON_CHARACTERS:
        return text  # it would be many times as large
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
