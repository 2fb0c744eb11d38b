"""A session pool with a span and measurements around each of its operations.

Speaks to OpenTelemetry's API package alone, so that nothing is recorded unless the process has
set up an SDK; does not know where anything is sent. What is recorded are kinds, counts and sizes:
never code, output, paths, identifiers or the messages of errors, since those name files.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import anyio
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode

from aca_mcp.errors import SessionLostError
from aca_mcp.forwarding_pool import ForwardingPool, T
from aca_mcp.pool import Execution, FileDownload

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
    )

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from aca_mcp.pool import FileEntry, SessionPool

_SCOPE = "aca_mcp.pool"
_SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30, 60, 220, 600),
)
_OPERATION = "aca_mcp.pool.operation"
_KIND = "aca_mcp.pool.kind"
_MEMBER = "aca_mcp.pool.member"
_STATUS = "aca_mcp.execution.status"
_DIRECTION = "aca_mcp.file.direction"
_FILE_SIZE = "aca_mcp.file.size"
_NOTICED = "aca_mcp.loss.noticed"
_ERROR = "error.type"


def observed(
    pool: SessionPool,
    *,
    kind: Literal["local", "wasm", "azure"],
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> SessionPool:
    """The same pool, with a span and measurements for each operation.

    Args:
        pool: does the work. It stays the caller's to close.
        kind: of the pool, without asking it: it may take long to start, or not answer.
        tracer_provider: where spans go; None for the process's own.
        meter_provider: where measurements go; None for the process's own.
    """
    return _ObservedPool(pool, _Instruments(kind, tracer_provider, meter_provider))


def observed_member(
    pool: SessionPool, name: str, *, meter_provider: MeterProvider | None = None
) -> SessionPool:
    """One of several pools that make up one, with the duration and the outcome of each operation.

    Args:
        pool: does the work.
        name: which one it is; part of what is recorded.
        meter_provider: where measurements go; None for the process's own.
    """
    return _ObservedMember(pool, name, meter_provider)


class _Instruments:
    """What is recorded with, made once."""

    def __init__(
        self,
        kind: str,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._kind = kind
        self._duration = meter.create_histogram(
            "aca_mcp.pool.operation.duration",
            unit="s",
            description="Time that operations of the session pool took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._executions = meter.create_counter(
            "aca_mcp.executions", unit="{execution}", description="Finished executions."
        )
        self._file_bytes = meter.create_counter(
            "aca_mcp.file.io", unit="By", description="Bytes of files moved, whole or not."
        )
        self._started = meter.create_counter(
            "aca_mcp.sessions.started", unit="{session}", description="Sessions begun by code."
        )
        self._lost = meter.create_counter(
            "aca_mcp.sessions.lost", unit="{session}", description="Sessions found to be lost."
        )

    @contextmanager
    def operation(self, name: str, *, current: bool = True) -> Generator[Span]:
        """Record one operation.

        Args:
            name: the port's.
            current: what happens within becomes part of the span. Not where other code than the
                pool's runs within.
        """
        attributes = {_OPERATION: name, _KIND: self._kind}
        span = self._tracer.start_span(
            f"session_pool.{name}", kind=SpanKind.INTERNAL, attributes=attributes
        )
        measured: dict[str, str] = dict(attributes)
        begun = time.perf_counter()
        try:
            with (
                trace.use_span(span, record_exception=False, set_status_on_exception=False)
                if current
                else nullcontext()
            ):
                yield span
        except BaseException as error:
            measured[_ERROR] = _kind_of(error)
            span.set_attribute(_ERROR, measured[_ERROR])
            span.set_status(StatusCode.ERROR)
            if isinstance(error, SessionLostError):
                self._lost.add(1, {_KIND: self._kind, _NOTICED: "at_once"})
            raise
        finally:
            self._duration.record(time.perf_counter() - begun, measured)
            span.end()

    def executed(self, span: Span, execution: Execution) -> None:
        """Count what an execution was."""
        status = execution.status.value
        kind = {_KIND: self._kind}
        span.set_attribute(_STATUS, status)
        span.set_attribute(
            "aca_mcp.output.size", execution.stdout.total_bytes + execution.stderr.total_bytes
        )
        self._executions.add(1, kind | {_STATUS: status})
        if execution.started_session:
            self._started.add(1, kind)
        # A pool tells of a loss again when the session is next used: the two are not to be added.
        if execution.session_lost is not None:
            self._lost.add(1, kind | {_NOTICED: "at_once"})
        if execution.lost_before is not None:
            self._lost.add(1, kind | {_NOTICED: "at_next_use"})

    def moved(self, span: Span, direction: Literal["upload", "download"], size_bytes: int) -> None:
        """Count the bytes of a file that went one way."""
        span.set_attribute(_FILE_SIZE, size_bytes)
        self._file_bytes.add(size_bytes, {_KIND: self._kind, _DIRECTION: direction})


class _CountedChunks:
    """Chunks on their way, counted."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks
        self.size_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.size_bytes += len(chunk)
            yield chunk


class _ObservedPool(ForwardingPool):
    """Implements ``SessionPool`` by another one."""

    def __init__(self, pool: SessionPool, instruments: _Instruments) -> None:
        self._pool = pool
        self._instruments = instruments

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        with self._instruments.operation(operation) as span:
            result = await act(self._pool)
            if isinstance(result, Execution):
                self._instruments.executed(span, result)
            return result

    async def upload_file(
        self,
        identifier: str,
        path: str,
        content: AsyncIterable[bytes],
        *,
        overwrite: bool = True,
    ) -> FileEntry:
        counted = _CountedChunks(content)
        with self._instruments.operation("upload_file") as span:
            try:
                return await self._pool.upload_file(
                    identifier, path, aiter(counted), overwrite=overwrite
                )
            finally:
                self._instruments.moved(span, "upload", counted.size_bytes)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        with self._instruments.operation("download_file", current=False) as span:
            async with self._pool.download_file(identifier, path) as download:
                counted = _CountedChunks(download.chunks)
                try:
                    yield FileDownload(download.entry, aiter(counted))
                finally:
                    self._instruments.moved(span, "download", counted.size_bytes)


class _ObservedMember(ForwardingPool):
    """Implements ``SessionPool`` by one of several; what executions are is recorded for all."""

    def __init__(self, pool: SessionPool, name: str, meter_provider: MeterProvider | None) -> None:
        self._pool = pool
        self._name = name
        self._duration = metrics.get_meter(_SCOPE, meter_provider=meter_provider).create_histogram(
            "aca_mcp.pool.member.operation.duration",
            unit="s",
            description="Time that operations took in each of several session pools.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    async def _perform(
        self, operation: str, identifier: str, act: Callable[[SessionPool], Awaitable[T]]
    ) -> T:
        with self._measured(operation):
            return await act(self._pool)

    @asynccontextmanager
    async def download_file(self, identifier: str, path: str) -> AsyncGenerator[FileDownload]:
        with self._measured("download_file"):
            async with self._pool.download_file(identifier, path) as download:
                yield download

    @contextmanager
    def _measured(self, operation: str) -> Generator[None]:
        measured = {_OPERATION: operation, _MEMBER: self._name}
        begun = time.perf_counter()
        try:
            yield
        except BaseException as error:
            measured[_ERROR] = _kind_of(error)
            raise
        finally:
            self._duration.record(time.perf_counter() - begun, measured)


def _kind_of(error: BaseException) -> str:
    return (
        "cancelled"
        if isinstance(error, anyio.get_cancelled_exc_class())
        else type(error).__qualname__
    )
