"""What is recorded of a pool, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aca_mcp.observed_pool import observed

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.sdk.trace import ReadableSpan

    from aca_mcp.pool import SessionPool
    from tests.support.toy_pool import ToyPool


@dataclass
class Watched:
    """An observed pool, and what was recorded of it."""

    pool: SessionPool
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def points(self, name: str) -> list[tuple[dict[str, object], float]]:
        """Attributes and value of each point of a metric; of a histogram, how many there are."""
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            (dict(point.attributes or {}), getattr(point, "count", getattr(point, "value", 0)))
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def watched(toy_pool: ToyPool) -> Generator[Watched]:
    """The toy pool, observed by an SDK of its own."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    pool = observed(toy_pool, kind="local", tracer_provider=tracers, meter_provider=meters)
    yield Watched(pool, exporter, reader, tracers)
    tracers.shutdown()
    meters.shutdown()
