"""What leaves the process: to a collector, or to whoever scrapes it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from aca_mcp.errors import SettingsError
from aca_mcp.telemetry import open_telemetry
from tests.observing.receiver import receiving

ROOT = Path(__file__).parents[2]
CANARY = "canary7e02"


def run(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.observing.program", CANARY, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_collector_gets_spans_below_those_of_the_calls_and_metrics() -> None:
    with receiving() as receiver:
        run("otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SERVICE_NAME="mine")
        spans = {span.name: span for span in receiver.spans()}
    call, execution = spans["tools/call execute_python"], spans["session_pool.execute"]
    assert call.kind == Span.SPAN_KIND_SERVER
    assert execution.trace_id == call.trace_id
    assert execution.parent_span_id == call.span_id
    assert {"aca_mcp.pool.operation.duration", "aca_mcp.executions"} <= receiver.metric_names()
    assert b"mine" in receiver.everything
    assert b"1.2.3" in receiver.everything


def test_a_collector_gets_nothing_that_the_client_wrote() -> None:
    with receiving() as receiver:
        run("otlp", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    names = [span.name for span in receiver.spans()]
    assert "resources/read" in names
    assert "unknown" in names, "a tool by a name that no tool has"
    assert CANARY.encode() not in receiver.everything
    assert not any(span.events or span.status.message for span in receiver.spans())


def test_a_collector_that_does_not_answer_delays_the_end_by_little() -> None:
    begun = time.monotonic()
    run("otlp", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert time.monotonic() - begun < 15


def test_metrics_can_be_scraped() -> None:
    content_type, _, body = run("prometheus").partition("\n")
    assert content_type.startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    samples = families["aca_mcp_executions"].samples
    assert [(s.labels["aca_mcp_execution_status"], s.value) for s in samples] == [("Failed", 1)]
    assert "aca_mcp_pool_operation_duration_seconds" in families
    assert CANARY not in body


def test_the_sdk_is_imported_by_those_alone_who_ask_for_it() -> None:
    program = (
        "import sys, aca_mcp.telemetry as t\n"
        "with t.open_telemetry(otlp=False, prometheus=False, version='1'): pass\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=20, check=True)


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.prometheus", None)
    with (
        pytest.raises(SettingsError, match=r"pip install 'aca-mcp\[otel\]'"),
        open_telemetry(otlp=False, prometheus=True, version="1"),
    ):
        pass
