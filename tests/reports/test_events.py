"""What comes out of a session is read with suspicion: an event, or a ``FrameError``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.execution import ExecutionError, Output
from aca_mcp.kernel.message_framing import Frame, FrameError
from aca_mcp.reports.events import MAX_OUTPUTS, Report

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
known_keys = st.sampled_from(
    ["event", "data", "blob", "text", "name", "message", "traceback", "place", "display_id"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(known_keys | any_text, inner),
    max_leaves=15,
)
headers = st.dictionaries(known_keys | any_text, json_values)
likely = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["display", "result", "update", "clear", "done"]),
        "data": st.dictionaries(any_text, json_values, max_size=3),
    },
    optional={
        "place": st.none() | st.integers(-1, 5) | any_text,
        "display_id": any_text | st.integers(),
        "text": json_values,
        "remarks": json_values,
        "error": json_values | headers,
        "files": st.lists(any_text | st.integers(), max_size=3),
    },
)


def told(
    *happened: dict[str, Any], blobs: tuple[bytes, ...] = (), report: Report | None = None
) -> Report:
    report = report or Report()
    for header in happened:
        report.take(Frame(header, blobs))
    return report


def display(value: str, **more: Any) -> dict[str, Any]:
    return {"event": "display", "place": None, "data": {"text/plain": value}, **more}


def shown(report: Report) -> list[str | bytes]:
    return [output.data["text/plain"] for output in report.outputs]


@given(st.lists(headers | likely, max_size=4), st.lists(st.binary(max_size=4), max_size=3))
def test_any_event_is_read_or_refused(
    happened: list[dict[str, object]], blobs: list[bytes]
) -> None:
    report = Report()
    try:
        for header in happened:
            report.take(Frame(header, blobs))
    except FrameError:
        return
    for output in report.outputs:
        for mime, content in output.data.items():
            mime.encode()
            assert content in blobs if isinstance(content, bytes) else content.encode() is not None
        "".join((output.text, *output.remarks)).encode()
    if report.error is not None:
        error = report.error
        "".join((error.name, error.message, error.traceback, error.hint)).encode()


def test_an_event_becomes_an_output_with_its_attachments() -> None:
    report = told(
        {
            "event": "result",
            "place": 3,
            "data": {"text/plain": "half \ud800", "image/png": {"blob": 1}},
            "text": {"text": 0},
            "remarks": ["smaller"],
            "late": True,
        },
        blobs=("größer".encode(), b"PNG"),
    )
    data = {"text/plain": "half \\ud800", "image/png": b"PNG"}
    assert report.outputs == (Output("result", data, "größer", ("smaller",), late=True),)
    assert report.shown[0].place == 3


def test_an_update_replaces_what_its_display_showed() -> None:
    update = {"event": "update", "display_id": "a", "data": {"text/plain": "new"}}
    report = told(display("old", display_id="a"), display("other", display_id="b"), update)
    assert shown(report) == ["new", "other"]


def test_an_update_of_what_earlier_code_displayed_is_news() -> None:
    update = {"event": "update", "display_id": "gone", "data": {"text/plain": "new"}}
    assert shown(told(display("a"), update)) == ["a", "new"]


def test_what_was_cleared_is_not_shown() -> None:
    report = told(display("a", place=1), {"event": "clear", "place": 2}, display("b", place=3))
    assert shown(report) == ["b"]


def test_the_last_event_has_the_error_and_the_files() -> None:
    error = {"name": "E", "message": "m", "traceback": "t", "hint": "h", "missing_module": "x"}
    report = told({"event": "done", "error": error, "files": ["a", "b"], "kept": ["b"]})
    assert report.is_done
    assert report.error == ExecutionError("E", "m", "t", "h", "x")
    assert (report.files, report.kept_files) == (("a", "b"), ("b",))


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"event": "said"},
        {"event": "display"},
        {"event": "display", "data": []},
        {"event": "display", "data": {"a": 1}},
        {"event": "display", "data": {"a": {"blob": 1}}},
        {"event": "display", "data": {"a": {"blob": -1}}},
        {"event": "display", "data": {"a": {"blob": "0"}}},
        {"event": "display", "data": {"a" * 300: "long name"}},
        {"event": "display", "data": {str(n): "" for n in range(100)}},
        {"event": "display", "data": {}, "place": "1"},
        {"event": "display", "data": {}, "place": -1},
        {"event": "display", "data": {}, "remarks": 1},
        {"event": "clear"},
        {"event": "done", "error": "E"},
        {"event": "done", "error": {"name": "E", "message": "m"}},
        {"event": "done", "error": None, "files": [1]},
        {"event": "done", "error": None, "files": ["a" * 5000]},
    ],
)
def test_what_is_no_event_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        told(header, blobs=(b"0",))


def test_outputs_without_end_are_counted_and_not_kept() -> None:
    report = told(*[display(str(n)) for n in range(MAX_OUTPUTS + 7)])
    assert len(report.outputs) == MAX_OUTPUTS + 1
    assert report.outputs[-1].remarks == ("7 displayed values are left out",)


def test_large_outputs_are_bounded_together() -> None:
    report = told(*[display("x" * 4000)] * 5, report=Report(max_output_bytes=10_000))
    assert len(report.outputs) == 3
    assert report.outputs[-1].remarks == ("3 displayed values are left out",)


def test_an_update_is_of_every_display_of_its_name_within_the_bound() -> None:
    report = Report()
    blob = b"x" * 10**6
    for _ in range(100):
        report.take(Frame({"event": "display", "display_id": "a", "data": {}}))
    report.take(
        Frame({"event": "update", "display_id": "a", "data": {"image/png": {"blob": 0}}}, (blob,))
    )
    held = sum(len(each.data.get("image/png", "")) for each in report.outputs)
    assert 0 < held <= report.max_output_bytes
    assert report.outputs[-1].remarks[0].endswith("displayed values are left out")
