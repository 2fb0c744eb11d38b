"""Answers of the service as the ``Execution`` that callers see. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from aca_mcp.azure.code_wrapping import ABSENT
from aca_mcp.azure.execution_endings import Ending, find_ending, seconds_in, stderr_before
from aca_mcp.execution import (
    Execution,
    ExecutionError,
    Output,
    StreamText,
    Variables,
    command_failed,
)
from aca_mcp.reports.building import ExecutionContext, build_execution
from aca_mcp.reports.events import Report, Shown
from aca_mcp.reports.stream_order import BEHIND_ALL, counted_pieces, in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.azure.code_wrapping import AzureReport
    from aca_mcp.azure.responses import ExecutionResponse, Fault

MAX_STREAM_CHARACTERS = 2**20
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TRACEBACK = re.compile(
    # What the code wrote last may have no newline at its end.
    r"^(?:-{20,}$| {2}File \")|-{70,}$|Traceback \(most recent call last\)",
    re.MULTILINE,
)
_LAST_LINE = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?")
_FORMAT = re.compile(r"[a-z0-9.+-]{1,20}")

_ENDED = {
    Ending.INTERPRETER_DIED: (
        "KernelRestarted",
        (
            "the interpreter died: unless the code ended it itself, it probably ran out of memory. "
            "Its variables are gone; files may still be there. Do less at a time, or with less data"
        ),
    ),
    Ending.ABORTED: (
        "ExecutionAborted",
        (
            "the service dropped the code, probably because earlier code of this session had run "
            "out of time. It probably did not run: try it again"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class AzureExecutionContext:
    """What is known of an execution besides its answer."""

    timeout_seconds: float
    elapsed_seconds: float
    stream_characters: int
    """How much of each stream the service keeps."""
    started_session: bool
    lost_before: str | None
    variables: Variables = "kept"
    """What became of them, if its time was up."""
    died: str | None = None
    """Why its session is gone, if it is: a clause."""
    remark: str = ""
    """What the reader must know of how the code was run."""
    has_no_value: bool = False
    """The answer's value is none of the code's."""


def read_execution(
    answer: ExecutionResponse, told: AzureReport | None, about: AzureExecutionContext
) -> Execution:
    """Put together what a run of code came to.

    Args:
        answer: the service's.
        told: what our module in the session told, where there was one.
        about: the rest.
    """
    stderr = _said_once(answer.stderr, answer.fault) if told is not None else answer.stderr
    outputs = _remarked(about.remark) + _outputs_of(None if about.has_no_value else answer.value)
    report = told or Report(shown=[Shown(each, None, "", 0) for each in outputs])
    ending = find_ending(answer) if told is None else None
    if ending is not None:
        report.error, stderr = _ended_by_service(ending), stderr_before(answer)
    elif report.error is None and answer.has_failed:
        report.error, stderr = _error_of(answer)
    seconds = seconds_in(answer) if ending is not None else None
    context = ExecutionContext(
        execution_id=answer.id or uuid.uuid4().hex,
        timeout_seconds=seconds or about.timeout_seconds,
        duration_seconds=_seconds(answer, told, about),
        started_session=about.started_session,
        lost_before=about.lost_before,
        stopped="timeout" if ending is Ending.TIMED_OUT else _stopped(answer, report.error, about),
        died=about.died,
        variables=about.variables,
    )
    kept = about.stream_characters
    streams = in_order(
        stream_text(answer.stdout, kept),
        stream_text(stderr, kept),
        counted_pieces(report),
        _value_place(report),
    )
    return build_execution(report, streams, context)


def _value_place(report: Report) -> int | None:
    """Where the code's value stands, if it has one."""
    places = (each.place for each in report.shown if each.output.kind == "result")
    return next((BEHIND_ALL if place is None else place for place in places), None)


def stream_text(text: str, kept_characters: int) -> StreamText:
    """A stream, which the service cuts without saying so: one as long as the bound was cut."""
    size = len(text.encode("utf-8", "replace"))
    # Whether characters or bytes are counted is not documented; a character has up to four bytes.
    cut = len(text) >= kept_characters or 0 <= kept_characters - size < 4
    most = max(kept_characters, MAX_STREAM_CHARACTERS)
    if len(text) > most:  # who answers need not keep to what was asked for
        text = text[:most]
        size = len(text.encode("utf-8", "replace"))
    return StreamText(head=text, total_bytes=size, cut=cut)


def is_absent(answer: ExecutionResponse) -> bool:
    """The session does not have our module, so nothing of the code ran."""
    return isinstance(answer.value, str) and answer.value.strip("'\"") == ABSENT


def _ended_by_service(ending: Ending) -> ExecutionError | None:
    if ending is Ending.TIMED_OUT:
        return None
    name, message = _ENDED[ending]
    return ExecutionError(name, message, f"{name}: {message}")


def _seconds(
    answer: ExecutionResponse, told: AzureReport | None, about: AzureExecutionContext
) -> float:
    if told is not None and told.seconds:
        return told.seconds
    return answer.milliseconds / 1000 or about.elapsed_seconds


def _stopped(
    answer: ExecutionResponse, error: ExecutionError | None, about: AzureExecutionContext
) -> Literal["timeout", "interrupt"] | None:
    if error is None:
        return None
    code = answer.fault.code.lower() if answer.fault else ""
    time_was_up = about.elapsed_seconds >= about.timeout_seconds
    interrupted = error.name == "KeyboardInterrupt" and time_was_up
    # A shell's programs have exit codes from 0 to 255: -1 is the service's word.
    ended_by_service = answer.status == "-1" and not code
    if "timeout" in code or "timedout" in code or interrupted or ended_by_service:
        return "timeout"
    return "interrupt" if answer.status.lower() == "canceled" else None


def _error_of(answer: ExecutionResponse) -> tuple[ExecutionError, str]:
    """The error that stderr ends with or that the answer names, and the rest of stderr."""
    stderr = _COLOURS.sub("", answer.stderr)
    fault = answer.fault
    found = _TRACEBACK.search(stderr)
    traceback = stderr[found.start() :].strip("\n") if found else ""
    if traceback:
        last = _LAST_LINE.fullmatch(traceback.splitlines()[-1])
        name, message = (last[1], last[2] or "") if last else ("Error", traceback.splitlines()[-1])
        return ExecutionError(name, message, traceback), stderr[: found.start() if found else None]
    if fault is None and answer.status.isdigit():
        return command_failed(answer.status), stderr
    name = (fault.code if fault else "") or "Error"
    message = (fault.message if fault else "") or (
        f"the service says {answer.status!r} and does not say why"
    )
    return ExecutionError(name, message, f"{name}: {message}"), _said_once(stderr, fault)


def _said_once(stderr: str, fault: Fault | None) -> str:
    """What is in stderr without a last line that repeats the fault."""
    before, _, last = stderr.rstrip("\n").rpartition("\n")
    if fault is None or not fault.message or fault.message not in last:
        return stderr
    return f"{before}\n" if before else ""


def _remarked(remark: str) -> tuple[Output, ...]:
    return (Output("display", {"text/plain": f"[{remark}]"}),) if remark else ()


def _outputs_of(value: object) -> tuple[Output, ...]:
    """The one value that the service gives by itself."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (Output("result", {"text/plain": value}),)
    if isinstance(value, dict) and (image := _image(cast("Mapping[str, object]", value))):
        return (Output("result", image),)
    text = json.dumps(value)
    if isinstance(value, bool | int | float):
        data = {"text/plain": str(value), "application/json": text}
        if isinstance(value, float) and not math.isfinite(value):
            del data["application/json"]  # which has no such number
        return (Output("result", data),)
    return (Output("result", {"text/plain": text}),)


def _image(value: Mapping[str, object]) -> dict[str, str | bytes] | None:
    data, form = value.get("base64_data"), value.get("format")
    if not isinstance(data, str) or not isinstance(form, str) or not _FORMAT.fullmatch(form):
        return None
    try:
        return {f"image/{form}": base64.b64decode(data)}
    except (binascii.Error, ValueError):
        return None
