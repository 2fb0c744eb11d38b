"""An ``Execution`` from what is known of it: report, streams, and how it was ended. Pure."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

from aca_mcp.execution import (
    Execution,
    ExecutionError,
    ExecutionStatus,
    Span,
    StreamName,
    StreamText,
    Variables,
    in_seconds,
    what_is_kept,
)
from aca_mcp.reports.remarks import remarks_on

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aca_mcp.reports.events import Report, Shown


class Piece(NamedTuple):
    """So much of a stream, written behind the mark of this number and before the next."""

    place: int
    stream: StreamName
    characters: int
    late: bool = False


class Streams(NamedTuple):
    """What an execution wrote."""

    stdout: StreamText
    stderr: StreamText
    pieces: tuple[Piece, ...] = ()
    """In the order of writing, as far as that is known."""


class ExecutionContext(NamedTuple):
    """What is known of an execution besides what its session tells."""

    execution_id: str
    timeout_seconds: float
    duration_seconds: float
    started_session: bool
    lost_before: str | None
    stopped: Literal["timeout", "interrupt"] | None = None
    """Why it was interrupted, if it was."""
    died: str | None = None
    """Why its session is gone, if it is: a clause."""
    variables: Variables = "kept"
    """What became of them, if it was interrupted."""


def build_execution(report: Report, streams: Streams, context: ExecutionContext) -> Execution:
    """Put together what a run of code came to."""
    status = _status(report.error, context)
    error = report.error
    if status is ExecutionStatus.TIMED_OUT and context.died is None:
        error = _timed_out(error, context)
    remarks, modules = remarks_on(streams.stdout.text, streams.stderr.text, error)
    return Execution(
        execution_id=context.execution_id,
        status=status,
        stdout=streams.stdout,
        stderr=streams.stderr,
        outputs=report.outputs,
        error=error,
        duration_seconds=context.duration_seconds,
        started_session=context.started_session,
        lost_before=context.lost_before,
        session_lost=context.died,
        variables=context.variables,
        files=() if context.died else report.files,
        kept_files=() if context.died else report.kept_files,
        remarks=remarks,
        missing_modules=modules,
        order=tuple(_merged(_order(streams.pieces, report.shown))),
    )


def _order(pieces: tuple[Piece, ...], shown: Iterable[Shown]) -> Iterable[Span]:
    """Put outputs where their marks are, which are in the order of both."""
    placed = [(each.place, Span("output", late=each.output.late)) for each in shown]
    written = [(each.place, Span(each.stream, each.characters, each.late)) for each in pieces]
    if not (placed and written):
        return [span for _, span in placed or written]
    steps: list[tuple[tuple[float, int], Span]] = []
    behind = float("inf")
    for place, span in reversed(placed):
        # Outputs are told in the order of making: none stands behind one that was told later.
        behind = min(behind, float("inf") if place is None else place)
        steps.append(((behind, 0), span))
    steps.reverse()
    steps += [((place, 1), span) for place, span in written]
    return [span for _, span in sorted(steps, key=itemgetter(0))]


def _merged(spans: Iterable[Span]) -> Iterable[Span]:
    """What goes on in the same stream is one: a line may have been written in many pieces."""
    for (what, late), alike in groupby(spans, key=attrgetter("what", "late")):
        if what == "output":
            yield from alike
        else:
            yield Span(what, sum(each.characters for each in alike), late)


def _status(error: ExecutionError | None, context: ExecutionContext) -> ExecutionStatus:
    if context.stopped == "timeout":
        return ExecutionStatus.TIMED_OUT
    if context.stopped == "interrupt" and (context.died or error is not None):
        return ExecutionStatus.CANCELED
    if context.died is not None or error is not None:
        return ExecutionStatus.FAILED
    return ExecutionStatus.SUCCEEDED


def _timed_out(error: ExecutionError | None, context: ExecutionContext) -> ExecutionError:
    if error is not None and error.name == "TimeoutError":
        return error
    message = (
        f"the code was interrupted after {in_seconds(context.timeout_seconds)}; "
        f"{what_is_kept(context.variables)}"
    )
    told = error is not None and error.traceback.startswith("Traceback")
    where = f"{error.traceback}\n" if error is not None and told else ""
    return ExecutionError("TimeoutError", message, f"{where}TimeoutError: {message}")
