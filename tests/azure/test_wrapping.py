"""Reports of sessions, which may be anything: bounded, and never believed."""

from __future__ import annotations

import ast
import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.azure import wrapping
from aca_mcp.azure.wrapping import BadReportError, ReportPart, ask_for_more, read_report, wrap


def packed(report: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(report).encode())).decode()


def report(**data: object) -> dict[str, object]:
    output = {"kind": "display", "data": data}
    return {"fresh": True, "seconds": 0.1, "outputs": [output], "error": None}


def test_what_is_not_what_it_says_is_left_out() -> None:
    told = report(a="text", b={"base64": "YQ=="}, c={"base64": "not"})
    (output,) = read_report(packed(told)).port_outputs()
    assert output.data == {"a": "text", "b": b"a"}


@pytest.mark.parametrize(
    "told", [{}, [], report(a=1), report() | {"seconds": -1}, report() | {"fresh": "yes"}]
)
def test_what_is_no_report_is_not_taken_for_one(told: object) -> None:
    with pytest.raises(BadReportError):
        read_report(packed(told))


def test_a_report_is_not_unpacked_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "_MAX_REPORT_BYTES", 100)
    with pytest.raises(BadReportError):
        read_report(packed(report(a="x" * 1000)))


@given(st.text())
def test_no_text_at_all_breaks_anything(text: str) -> None:
    for read in (ReportPart, read_report):
        with pytest.raises(BadReportError):
            read(text)


@given(st.text())
def test_code_of_any_kind_arrives_as_it_is(code: str) -> None:
    sent = wrap(code, bring_module=True)
    assert sent.isascii()
    call = ast.parse(sent.splitlines()[-1].removeprefix("await "), mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.literal_eval(call.args[0]) == code
    assert "\n" not in wrap(code, bring_module=False)


def test_more_of_a_report_is_asked_for_from_where_it_ended() -> None:
    assert ask_for_more(7).endswith(".more(7)")
