"""Sets up OpenTelemetry's SDK for a process: what is recorded goes out by OTLP, or is read here.

Where OTLP goes is told by OpenTelemetry's own variables, ``OTEL_*``, which its SDK reads. The SDK
is the extra ``otel``, imported only when asked for. Knows nothing of what is recorded, but lets
no more of it out than is safe: the MCP SDK writes the text of errors, which may quote a client,
into its spans.
"""

from __future__ import annotations

import re
import threading
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from aca_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_FLUSH_SECONDS = 1.0
"""For what is unsent at the end; hosts of stdio servers kill one that takes about two seconds."""

_SAFE_NAME = re.compile(r"[\w./$-]{1,64}( [\w.-]{1,64})?", re.ASCII)
_SAFE_ATTRIBUTES = frozenset(
    {
        "error.type",
        "gen_ai.operation.name",
        "gen_ai.prompt.name",
        "gen_ai.tool.name",
        "mcp.method.name",
        "mcp.protocol.version",
        "rpc.response.status_code",
    }
)
_OWN_ATTRIBUTES = "aca_mcp."


def metrics_text() -> tuple[bytes, str]:
    """All measurements as Prometheus scrapes them: the body, and its content type.

    Takes some milliseconds, and no lock that a caller could hold.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return generate_latest(), CONTENT_TYPE_LATEST


@contextmanager
def open_telemetry(*, otlp: bool, prometheus: bool, version: str) -> Generator[None]:
    """Record traces and metrics of this process while the context lasts, once in its life.

    To be entered before the event loop runs, and left after: leaving sends what is unsent, which
    blocks, for at most a second.

    Args:
        otlp: send traces and metrics by OTLP over HTTP.
        prometheus: keep metrics for ``metrics_text``.
        version: of this package, to be told with them.

    Raises:
        SettingsError: the packages that this takes are not installed.
    """
    with ExitStack() as stack:
        if otlp or prometheus:
            try:
                shutdowns = _set_up(version, otlp=otlp, prometheus=prometheus)
            except ImportError:
                raise SettingsError(
                    "Metrics and traces need OpenTelemetry's SDK, which is not installed: "
                    "pip install 'aca-mcp[otel]', or switch --metrics and --otel off."
                ) from None
            stack.callback(_run_bounded, shutdowns)
        yield


def _set_up(version: str, *, otlp: bool, prometheus: bool) -> list[Callable[[], object]]:
    """Make this process record; returns what sends the rest and ends that."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = _resource(version)
    readers: list[MetricReader] = []
    if prometheus:
        readers.append(PrometheusMetricReader())
    if otlp:
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    metrics.set_meter_provider(meters)
    if not otlp:
        return [meters.shutdown]
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(discreet(OTLPSpanExporter())))
    trace.set_tracer_provider(tracers)
    return [meters.shutdown, tracers.shutdown]


def _resource(version: str) -> Resource:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = {
        "service.name": "aca-mcp",
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
    }
    # What the user says by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES wins.
    return Resource.create(ours).merge(OTELResourceDetector().detect())


def _run_bounded(calls: Sequence[Callable[[], object]]) -> None:
    """Run them side by side. What takes too long is left to the end of the process."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_FLUSH_SECONDS / len(threads))


def discreet(exporter: SpanExporter) -> SpanExporter:
    """The same exporter, told only names, times and attributes that are known to be safe."""
    from opentelemetry.sdk.trace.export import SpanExporter

    class Discreet(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([_bare(span) for span in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

    return Discreet()


def _bare(span: ReadableSpan) -> ReadableSpan:
    """The span without events, which carry tracebacks, and without what its status says."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    return ReadableSpan(
        # A client may call any method by any name, whether or not there is one.
        name=span.name if _SAFE_NAME.fullmatch(span.name) else "unknown",
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={
            key: value
            for key, value in (span.attributes or {}).items()
            if key.startswith(_OWN_ATTRIBUTES)
            or (key in _SAFE_ATTRIBUTES and _SAFE_NAME.fullmatch(str(value)))
        },
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
