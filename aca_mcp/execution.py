"""What one run of code came to, in plain values: its streams, what it showed, and in which order.

The port's vocabulary for results; ``pool`` passes it on.
"""

from __future__ import annotations

import enum
import secrets
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

StreamName = Literal["stdout", "stderr"]
Variables = Literal["kept", "gone", "unknown"]
"""What became of a session's variables when its code was stopped."""

MAX_IMAGE_SIDE = 1568
"""Pixels of a shown image's longer side, unless somebody chose: models see no more, and some hosts
refuse more, with the whole conversation."""
_LINE_CHARACTERS = 60
"""Of code that is named by its first line."""
_EXECUTIONS_KNOWN = 256
"""Of one session, to say which of them are undone."""


class ExecutionStatus(enum.StrEnum):
    """How an execution ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """The code raised, could not be compiled, or its session died."""
    CANCELED = "Canceled"
    """Interrupted on request."""
    TIMED_OUT = "TimedOut"
    """Interrupted because its time was up."""


class StreamText(NamedTuple):
    """What one stream (stdout or stderr) of an execution carried, decoded as UTF-8.

    A pool keeps the beginning and the end up to a bound of bytes, and counts all of it.
    """

    head: str = ""
    """All of it, or the beginning when ``omitted_bytes`` is not 0."""
    tail: str = ""
    """The end, when ``omitted_bytes`` is not 0."""
    total_bytes: int = 0
    """How many bytes the code wrote; if ``cut``, how many of them there are."""
    omitted_bytes: int = 0
    """How many of them, between head and tail, were not kept."""
    cut: bool = False
    """The pool dropped what came after ``head``, and does not tell how much that was."""
    limit: str = ""
    """Why not all of it was kept, as a clause; empty where the pool does not say."""

    @property
    def text(self) -> str:
        """What there is of it, with a line where something is missing."""
        return f"{self.head}{self._note}{self.tail}"

    def part(self, start: int, end: int) -> str:
        """From one character of head and tail together to before another, with that line."""
        middle = len(self.head)
        note = self._note if start <= middle < end else ""
        tail = self.tail[max(start - middle, 0) : max(end - middle, 0)]
        return f"{self.head[start:end]}{note}{tail}"

    @property
    def _note(self) -> str:
        if self.cut:
            return "\n[... the session pool did not keep the rest ...]"
        if not self.omitted_bytes:
            return ""
        why = f": {self.limit}" if self.limit else ""
        return f"\n[... {self.omitted_bytes:,} bytes not kept{why} ...]\n"


class Output(NamedTuple):
    """One displayed value, as Jupyter's MIME bundle: several representations of the same thing."""

    kind: Literal["display", "result"]
    """``result`` is the value of the last expression; ``display`` is everything else shown."""
    data: Mapping[str, str | bytes]
    """MIME type to representation: text as ``str``, images and other binary types as ``bytes``.

    ``application/json`` is there when the value is a JSON scalar (number, string, boolean).
    """
    text: str = ""
    """What a reader of text is shown, where that is none of the representations."""
    remarks: tuple[str, ...] = ()
    """What else there is to know, a line each: where the original is kept, that it is smaller."""
    late: bool = False
    """Displayed by a thread that earlier code has left, not by this one."""


class ExecutionError(NamedTuple):
    """The exception that ended the code."""

    name: str
    """The exception's class name, such as ``ZeroDivisionError``."""
    message: str
    traceback: str
    """Ready to print, without terminal colours, trimmed to what the user's code did."""
    hint: str = ""
    """What sessions do not have, and what to do instead: a sentence or two, or empty."""
    missing_module: str = ""
    """The top-level name of the module that could not be found, if that is the error."""


class Span(NamedTuple):
    """A step of an execution's timeline: so much of a stream, or the next output."""

    what: Literal["stdout", "stderr", "output"]
    characters: int = 0
    """Of the stream's kept text."""
    late: bool = False
    """Written by what earlier code has left running, not by this one."""


class StreamPart(NamedTuple):
    """Text of one stream, between two other things."""

    stream: StreamName
    text: str
    late: bool = False
    """As that of ``Span``."""


class Rollback(NamedTuple):
    """Variables of a session went back to what they were before some executions."""

    reason: str
    """Why: a clause."""
    executions: int
    """How many, the one that ended so among them. 1 unless the session was never idle."""
    begins: str = ""
    """The ``first_line`` of the earliest one's code; empty where that is not known."""

    @property
    def extent(self) -> str:
        """What the variables are as before: a phrase."""
        return "it" if self.executions <= 1 else self.undone

    @property
    def undone(self) -> str:
        """What was taken back: a phrase."""
        if self.executions <= 1:
            return f"`{self.begins}`" if self.begins else "the last execution"
        since = f", from `{self.begins}` on" if self.begins else ""
        return f"the last {self.executions} executions{since}"


def first_line(code: str) -> str:
    """By which whoever wrote code knows it again: its first line, cut short."""
    code = code.strip()
    end = code.find("\n", 0, _LINE_CHARACTERS)
    line = code[: end if end >= 0 else _LINE_CHARACTERS]
    return line if len(line) == len(code) else f"{line.rstrip()} ..."


class LastExecutions(deque[tuple[int, str]]):
    """Those whose effects a session has: the number of each request, and the first line of code."""

    def __init__(self) -> None:
        super().__init__(maxlen=_EXECUTIONS_KNOWN)

    @property
    def newest(self) -> int | None:
        """The number of the last one, or None if nothing has run."""
        return self[-1][0] if self else None

    def add(self, number: int, code: str) -> None:
        """Note that a request has code run."""
        self.append((number, first_line(code)))

    def forget_after(self, number: int) -> tuple[int, str]:
        """Forget those of later requests; how many they are, and how the first of them begins."""
        undone, begins = 0, ""
        while self and self[-1][0] > number:
            _, begins = self.pop()
            undone += 1
        return undone, begins


class Execution(NamedTuple):
    """One run of code in a session, finished."""

    execution_id: str
    status: ExecutionStatus
    stdout: StreamText
    stderr: StreamText
    outputs: tuple[Output, ...]
    """Displayed values, figures and the result, in the order in which they appeared."""
    error: ExecutionError | None
    duration_seconds: float
    started_session: bool
    """The session was new: the code began with no variables and no files."""
    lost_before: str | None = None
    """Why the session that this identifier had before is gone, where the pool knows: a clause."""
    rollback: Rollback | None = None
    """The code ended its process, and variables are as they were before; files are kept."""
    session_lost: str | None = None
    """Why this execution ended its session, or None if the session is still there: a clause.

    Variables and files are gone then; the next execution gets a new session.
    """
    variables: Variables = "kept"
    """What became of them where the code was stopped and its session is still there."""
    files: tuple[str, ...] = ()
    """Paths of files in the work directory that the code made or changed, where the pool tells.

    Sorted, not all where there are many, and no more than what the session says.
    """
    kept_files: tuple[str, ...] = ()
    """Paths of files that keep originals of outputs, and are named with those."""
    remarks: tuple[str, ...] = ()
    """What was not there, where no exception but only what was written tells it: sentences."""
    missing_modules: tuple[str, ...] = ()
    """Names of modules that programs which the code started did not find."""
    order: tuple[Span, ...] = ()
    """In which order streams and outputs were made, as far as the pool knows; see ``timeline``."""

    @property
    def timeline(self) -> Iterator[StreamPart | Output]:
        """Everything that the code showed, in the order of making.

        What ``order`` does not place comes last: stdout, stderr, then outputs.
        """
        streams: dict[StreamName, StreamText] = {"stdout": self.stdout, "stderr": self.stderr}
        reached: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        outputs = iter(self.outputs)
        rest = (Span("stdout", len(self.stdout.text)), Span("stderr", len(self.stderr.text)))
        for span in (*self.order, *rest):
            if span.what == "output":
                if (output := next(outputs, None)) is not None:
                    yield output
                continue
            start = reached[span.what]
            reached[span.what] = end = start + span.characters
            if text := streams[span.what].part(start, end):
                yield StreamPart(span.what, text, span.late)
        yield from outputs


def what_is_kept(variables: Variables) -> str:
    """What is still there after code was stopped, as a clause."""
    return {
        "kept": "variables and files are kept",
        "gone": "variables are gone, files are kept",
        "unknown": "files are kept; whether variables are is not known",
    }[variables]


def in_seconds(time: float) -> str:
    """A time in words."""
    seconds = f"{round(time, 2):g}"
    return "1 second" if seconds == "1" else f"{seconds} seconds"


def before_time_was_up(traceback: str) -> str:
    """Where code was that was interrupted: a traceback without its last line, which says that.

    Whoever shows the traceback says it with what can be done; without another line it is left.
    """
    head, _, last = traceback.rstrip("\n").rpartition("\n")
    return head if head and last.startswith("TimeoutError: ") else traceback


_NOT_STARTED = "so this code was not started"


def not_begun(timeout_seconds: float) -> Execution:
    """The result of code whose time was up before earlier code of its session had ended."""
    message = (
        f"earlier code of this session still ran after {in_seconds(timeout_seconds)}, "
        f"{_NOT_STARTED}"
    )
    return Execution(
        execution_id=secrets.token_hex(16),
        status=ExecutionStatus.TIMED_OUT,
        stdout=StreamText(),
        stderr=StreamText(),
        outputs=(),
        error=ExecutionError("TimeoutError", message, f"TimeoutError: {message}"),
        duration_seconds=timeout_seconds,
        started_session=False,
    )


def was_not_begun(execution: Execution) -> bool:
    """Whether an execution is one that ``not_begun`` made, here or behind a pool's API."""
    error = execution.error
    return (
        execution.status is ExecutionStatus.TIMED_OUT
        and error is not None
        and error.message.endswith(_NOT_STARTED)
    )


_COMMAND_FAILED = "the command ended with status "
_STATUS_DIGITS = 3


def command_failed(status: str) -> ExecutionError:
    """The error of a command that ended with another status than 0, as a Shell pool has it."""
    name, message = "CalledProcessError", f"{_COMMAND_FAILED}{status}"
    return ExecutionError(name, message, f"{name}: {message}")


def status_of_command(error: ExecutionError) -> int | None:
    """The status with which ``command_failed`` made an error; None for any other error."""
    status = error.message.removeprefix(_COMMAND_FAILED)
    if status == error.message or not status.isdecimal() or len(status) > _STATUS_DIGITS:
        return None
    return int(status)
