"""A session as a notebook, judged by Jupyter's own library."""

from __future__ import annotations

import base64
from importlib import import_module
from typing import Any

from aca_mcp.pool import Execution, ExecutionError, Output, Rollback
from aca_mcp.server.results.notebook import notebook
from aca_mcp.server.sessions.execution_store import Record
from tests.support.executions import executed
from tests.support.pictures import png

PNG = png()


def read(text: str) -> Any:
    """What Jupyter makes of it."""
    jupyter: Any = import_module("nbformat")  # it has no types
    document = jupyter.reads(text, as_version=4)
    jupyter.validate(document)
    return document


def execution(*outputs: Output, error: ExecutionError | None = None) -> Execution:
    said = "printed \x1b[31mred\x1b[0m\n"
    return executed(*outputs, stdout=said, stderr="warned\n", error=error)


def test_it_is_one() -> None:
    records = [
        Record(
            "execution-1",
            "1 + 1\nplot()",
            execution(
                Output("display", {"image/png": PNG, "text/plain": "<Figure>"}),
                Output("result", {"text/plain": "2", "application/json": "2"}),
                Output("display", {"application/json": "{broken", "text/html": "<b>x</b>"}),
                Output("display", {"application/json": '{"a": [1]}', "text/plain": "<JSON>"}),
            ),
        ),
        Record(
            "execution-2",
            "1/0",
            execution(error=ExecutionError("ZeroDivisionError", "division by zero", "a\nb")),
        ),
    ]
    document = read(notebook(records))
    first, second = document.cells
    assert first.source == "1 + 1\nplot()"
    kinds = [output.output_type for output in first.outputs]
    assert kinds == ["stream", "stream", "display_data", "execute_result"] + ["display_data"] * 2
    assert first.outputs[0].text == "printed red\n"
    assert base64.b64decode(first.outputs[2].data["image/png"]) == PNG
    assert first.outputs[3].data == {"text/plain": "2"}, "as a kernel gives a number"
    assert first.outputs[4].data == {"text/html": "<b>x</b>"}
    assert first.outputs[5].data["application/json"] == {"a": [1]}
    assert second.outputs[-1].ename == "ZeroDivisionError"
    assert second.outputs[-1].traceback == ["a", "b"]


def test_code_that_did_not_come_to_its_end_has_an_error_that_says_why() -> None:
    ended = [
        executed(session_lost="it used too much memory"),
        executed(rollback=Rollback("it was ended by SIGABRT", 1)),
    ]
    cells = read(notebook(Record(f"execution-{n}", "f()", each) for n, each in enumerate(ended)))
    told = [cell.outputs[-1] for cell in cells.cells]
    assert [each.ename for each in told] == ["SessionLost", "ProcessEnded"]
    assert "too much memory; variables and files were gone" in told[0].evalue
    assert told[1].traceback == [f"ProcessEnded: {told[1].evalue}"]
    assert "SIGABRT; variables were as before it" in told[1].evalue


def test_cells_that_were_undone_are_tagged_and_say_so() -> None:
    undone = Record("execution-1", "x += 1", execution(), is_undone=True)
    crashed = executed(rollback=Rollback("it was ended by SIGABRT", 2, "x += 1"))
    ended = Record("execution-2", "f()", crashed, is_undone=True)
    document = read(notebook([undone, ended, Record("execution-3", "x", execution())]))
    first, second, third = document.cells
    assert [cell.metadata.get("tags") for cell in document.cells] == [["undone"], ["undone"], None]
    assert first.outputs[-1].data["text/plain"].startswith("[Undone: ")
    assert second.outputs[-1].ename == "ProcessEnded"
    assert "Undone" not in str(third)


def test_a_session_in_which_nothing_ran_is_an_empty_one() -> None:
    assert read(notebook([])).cells == []


def test_how_many_executions_are_not_in_it_is_said_first() -> None:
    records = [Record("execution-8", "x", execution())]
    note, cell = read(notebook(records, left_out=7)).cells
    assert (note.cell_type, cell.execution_count) == ("markdown", 8)
    assert "7 earlier executions are left out" in note.source
