"""What a run of code came to, in a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aca_mcp.kernel.message_framing import Frame
from aca_mcp.kernel.timeline import Recorder, done
from aca_mcp.reports.events import Report

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.execution import ExecutionError, Output
    from aca_mcp.kernel.interpreter import Interpreter


@dataclass(slots=True)
class Ran:
    """A piece of code that has run, read as whoever is outside reads it."""

    report: Report
    raw: dict[str, Any]
    """The last event."""

    @property
    def error(self) -> ExecutionError | None:
        return self.report.error

    @property
    def error_name(self) -> str | None:
        return None if self.error is None else self.error.name

    @property
    def error_message(self) -> str:
        return "" if self.error is None else self.error.message

    @property
    def traceback(self) -> str:
        return "" if self.error is None else self.error.traceback

    @property
    def outputs(self) -> tuple[Output, ...]:
        assert self.report.error is None, self.report.error
        return self.report.outputs

    @property
    def data(self) -> list[dict[str, str | bytes]]:
        return [dict(output.data) for output in self.outputs]

    @property
    def texts(self) -> list[object]:
        return [output.text or output.data["text/plain"] for output in self.outputs]

    @property
    def kinds(self) -> list[str]:
        return [output.kind for output in self.outputs]

    @property
    def images(self) -> list[bytes]:
        found = [content for each in self.report.outputs for content in each.data.values()]
        return [content for content in found if isinstance(content, bytes)]


def run(interpreter: Interpreter, code: str, work_directory: Path | str = "/nonexistent") -> Ran:
    """Run code, and read what it told. Originals are not kept unless there is a place for them."""
    recorder = Recorder()
    result = interpreter.run(code, recorder, work_directory=str(work_directory))
    report = Report()
    for event, blobs in recorder.events:
        report.take(Frame(event, blobs))
    last = done(result.error, (), result.kept)
    report.take(Frame(last))
    return Ran(report, dict(last))
