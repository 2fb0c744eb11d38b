"""Code on its way into a session and reports on their way out: the other half of ``in_session``.

Each execution is sent as a call of ``in_session.run``. Where a session may not have the module yet,
the call brings the source along. That costs no request of its own, sets the work directory, makes
every figure come back, and tells whether the session is the one that was used before: a short call
to a session without the module runs nothing and answers ``ABSENT``.

Pure. What a session reports is not believed: it is parsed with bounds.
"""

from __future__ import annotations

import base64
import functools
import zlib

from aca_mcp.azure.sent_modules import SentModule, sent_module
from aca_mcp.kernel.message_framing import FrameError
from aca_mcp.reports.events import Report, read_events

PREFIX = "aca-mcp:"
ABSENT = "aca-mcp-absent"
PRESENT = "aca-mcp-present"
PLAIN_MARK = "_aca_mcp_entered"
"""Among the modules of an interpreter that was entered without our module."""
_MAX_REPORT_BYTES = 128 * 2**20
_MAX_PACKED_CHARACTERS = 64 * 2**20
_MAX_SECONDS = 10**6

_MODULES = (
    "process",
    "changed_files",
    "message_framing",
    "timeline",
    "path_hints",
    "error_hints",
    "missing_modules",
    "truncation",
    "hidden_frames",
    "traceback_frames",
    "tracebacks",
    "image_scaling",
    "html_text",
    "display_files",
    "page_pictures",
    "renderers",
    "widgets",
    "main_module",
    "mime_bundles",
    "import_hooks",
    "browsers",
    "figure_boxes",
    "figures",
    "plotly_figures",
    "bokeh_figures",
    "worker_processes",
    "replaced_methods",
    "output_widgets",
    "standard_input",
    "front_end",
    "library_defaults",
    "capture",
)
"""Those of the kernel that a session is sent, each after those that it imports."""


class BadReportError(Exception):
    """A report is not one: the service cut or changed it, or the session's code did."""


class ReportTooLargeError(BadReportError):
    """A report is longer than may be read."""


class ReportPart:
    """One value of a report that may be longer than a value."""

    def __init__(self, text: str) -> None:
        """Read a value.

        Raises:
            BadReportError: it is not a part of a report.
        """
        total, colon, packed = text.removeprefix(PREFIX).partition(":")
        if not (text.startswith(PREFIX) and colon and total.isascii() and total.isdigit()):
            raise BadReportError
        self.total_characters = int(total[:10])
        if self.total_characters > _MAX_PACKED_CHARACTERS:
            raise ReportTooLargeError
        self.packed = packed.removesuffix(";")
        if self.packed == packed or len(self.packed) > self.total_characters:
            raise BadReportError


class AzureReport(Report):
    """What ``in_session.run`` tells of an execution."""

    @property
    def fresh(self) -> bool:
        """The module was loaded by this execution."""
        return self.about.get("fresh") is True

    @property
    def seconds(self) -> float:
        """How long the code ran, as the session says; 0 if it does not."""
        seconds = self.about.get("seconds")
        if isinstance(seconds, float) and 0 <= seconds < _MAX_SECONDS:
            return seconds
        return 0.0


def wrap(code: str, *, bring_module: bool, max_side: int) -> str:
    """The code to send.

    Args:
        code: what to run.
        bring_module: whether the session may not have the module yet.
        max_side: pixels of a shown picture's longer side.
    """
    module = _module()
    # ASCII, not repr: no character of the code can be one that IPython or the way changes.
    call = f"await {module.loaded}.run({code!a}, {max_side})"
    if not bring_module:
        return f'{call} if "{module.name}" in __import__("sys").modules else "{ABSENT}"'
    return f"{module.load}\n{call}"


def ask_for_mark(*, plain: bool) -> str:
    """An expression that is ``PRESENT`` in an interpreter that ran code of ours before.

    It prints that as well: not every interpreter gives values back.

    Args:
        plain: that was done without the module.
    """
    name = PLAIN_MARK if plain else _module().name
    mark = f'"{PRESENT}" if "{name}" in __import__("sys").modules else "{ABSENT}"'
    return f"(lambda mark: (print(mark), mark)[1])({mark})"


def ask_for_more(start: int) -> str:
    """The code that gives the part of the last report from this character on."""
    return f"{_module().loaded}.more({start})"


def read_report(packed: str, max_bytes: int = _MAX_REPORT_BYTES) -> AzureReport:
    """Read a whole report. A long one takes its time.

    Raises:
        BadReportError: it is not one, or is too large.
    """
    report = AzureReport()
    try:
        decompressor = zlib.decompressobj()
        data = decompressor.decompress(base64.b64decode(packed, validate=True), max_bytes)
        if not decompressor.eof:
            too_large = bool(decompressor.unconsumed_tail)
            raise ReportTooLargeError if too_large else BadReportError
        read_events(data, report)
    except (ValueError, zlib.error, FrameError) as error:
        raise BadReportError from error
    if not report.is_done:
        raise BadReportError
    return report


@functools.cache
def _module() -> SentModule:
    return sent_module("aca_mcp.azure.in_session", [f"aca_mcp.kernel.{name}" for name in _MODULES])
