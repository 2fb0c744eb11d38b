"""What ran in a session as a Jupyter notebook (nbformat 4.5). Pure."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from aca_mcp.server.results.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aca_mcp.pool import Execution
    from aca_mcp.server.sessions.executions import Record

    Json = Mapping[str, object]

MIME_TYPE = "application/x-ipynb+json"


def notebook(records: Iterable[Record]) -> str:
    """The notebook as JSON, a cell for each execution, oldest first."""
    document = {
        "cells": [_cell(number, record) for number, record in enumerate(records, 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=True, indent=1)


def _cell(number: int, record: Record) -> Json:
    return {
        "cell_type": "code",
        "execution_count": number,
        "id": record.id,
        "metadata": {},
        "outputs": list(_outputs(number, record.execution)),
        "source": record.code,
    }


def _outputs(number: int, execution: Execution) -> Iterable[Json]:
    for name, stream in (("stdout", execution.stdout), ("stderr", execution.stderr)):
        if stream.text:
            yield {"output_type": "stream", "name": name, "text": clean(stream.text)}
    for output in execution.outputs:
        shown: Json = {"data": _bundle(output.data), "metadata": {}}
        if output.kind == "result":
            yield {"output_type": "execute_result", "execution_count": number, **shown}
        else:
            yield {"output_type": "display_data", **shown}
    if (error := execution.error) is not None:
        yield {
            "output_type": "error",
            "ename": error.name,
            "evalue": error.message,
            "traceback": clean(error.traceback).splitlines(),
        }


def _bundle(data: Mapping[str, str | bytes]) -> Json:
    bundle: dict[str, object] = {}
    for mime_type, content in data.items():
        if isinstance(content, bytes):
            bundle[mime_type] = base64.b64encode(content).decode()
        elif mime_type == "application/json":
            bundle[mime_type] = _parsed(content)
        else:
            bundle[mime_type] = content
    return bundle


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
