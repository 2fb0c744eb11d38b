"""Reports of sessions, which may be anything: bounded, and never believed."""

from __future__ import annotations

import ast
import base64
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure.code_wrapping import BadReportError, ReportPart, ask_for_more, read_report, wrap
from aca_mcp.kernel.message_framing import Frame, encode
from aca_mcp.reports.stream_order import Counted, counted_pieces

DONE: dict[str, Any] = {"event": "done", "error": None, "fresh": True, "seconds": 0.1, "pieces": []}


def packed(*happened: dict[str, Any]) -> str:
    data = b"".join(encode(Frame(event)) for event in happened)
    return base64.b64encode(zlib.compress(data)).decode()


def display(value: object) -> dict[str, Any]:
    return {"event": "display", "place": None, "data": {"text/plain": value}}


def test_a_report_is_its_events() -> None:
    report = read_report(packed(display("x"), DONE))
    assert [output.data for output in report.outputs] == [{"text/plain": "x"}]
    assert (report.fresh, report.seconds) == (True, 0.1)


@pytest.mark.parametrize(
    ("told", "seconds"), [(-1.0, 0), ("1", 0), (float("inf"), 0), (1e9, 0), (2.5, 2.5)]
)
def test_a_time_that_cannot_be_is_none(told: object, seconds: float) -> None:
    assert read_report(packed({**DONE, "seconds": told})).seconds == seconds


def test_pieces_that_make_no_sense_are_left_out() -> None:
    good = [1, "stdout", 3, "abc", "late"]
    told = [
        good,
        [1, "stdin", 3, "", ""],
        [1, "stdout", "3", "", ""],
        7,
        [-5, "stderr", -1, "", ""],
    ]
    report = read_report(packed({**DONE, "pieces": told}))
    assert counted_pieces(report) == [
        Counted(1, "stdout", 0, "abc", "late"),
        Counted(0, "stderr", 0, "", ""),
    ]
    assert counted_pieces(read_report(packed({**DONE, "pieces": "x"}))) == []


@pytest.mark.parametrize(
    "happened", [(), (display("x"),), (display(1), DONE), ({"event": "other"}, DONE), ({},)]
)
def test_what_is_no_report_is_not_taken_for_one(happened: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(BadReportError):
        read_report(packed(*happened))


def test_a_report_is_not_unpacked_beyond_its_bound() -> None:
    with pytest.raises(BadReportError):
        read_report(packed(display("x" * 1000), DONE), max_bytes=100)


@given(st.text())
def test_no_text_at_all_breaks_anything(text: str) -> None:
    for read in (ReportPart, read_report):
        with pytest.raises(BadReportError):
            read(text)


@given(st.text())
def test_code_of_any_kind_arrives_as_it_is(code: str) -> None:
    sent = wrap(code, bring_module=True, max_side=900)
    assert sent.isascii()
    call = ast.parse(sent.splitlines()[-1].removeprefix("await "), mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.literal_eval(call.args[0]) == code
    assert ast.literal_eval(call.args[1]) == 900
    assert "\n" not in wrap(code, bring_module=False, max_side=900)


def test_more_of_a_report_is_asked_for_from_where_it_ended() -> None:
    assert ask_for_more(7).endswith(".more(7)")
