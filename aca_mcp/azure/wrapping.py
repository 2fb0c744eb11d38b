"""Code on its way into a session and reports on their way out: the other half of ``in_session``.

Each execution is sent as a call of ``in_session.run``. Where a session may not have the module yet,
the call brings the source along. That costs no request of its own, sets the work directory, makes
every figure come back, and tells whether the session is the one that was used before: a short call
to a session without the module runs nothing and answers ``ABSENT``.

Pure. What a session reports is not believed: it is parsed with bounds.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import zlib
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aca_mcp.pool import ExecutionError, Output

PREFIX = "aca-mcp:"
ABSENT = "aca-mcp-absent"
_MAX_REPORT_BYTES = 128 * 2**20
_MAX_PACKED_CHARACTERS = 64 * 2**20

_FUTURE = "from __future__ import annotations\n"
_IMPORT = "from aca_mcp.kernel.changes import changed, snapshot\n"

_LOADER = """\
import base64, sys, types, zlib
if name not in sys.modules:
    module = types.ModuleType(name)
    source = zlib.decompress(base64.b64decode(packed))
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
"""


class BadReportError(Exception):
    """A report is not one: the session's code, or the service, changed it."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Image(_Model):
    base64: str


class _Output(_Model):
    kind: Literal["display", "result"]
    data: dict[str, str | _Image]


class _Error(_Model):
    name: str
    message: str
    traceback: str


class Report(_Model):
    """What ``in_session.run`` tells of an execution."""

    fresh: bool
    """The module was loaded by this execution."""
    seconds: Annotated[float, Field(ge=0)]
    outputs: list[_Output]
    error: _Error | None
    files: list[Annotated[str, Field(max_length=4096)]] = Field(default=[], max_length=20)
    """That the code made or changed."""

    def port_outputs(self) -> tuple[Output, ...]:
        """The outputs as the port has them. What is not what it says is left out."""
        return tuple(Output(output.kind, _bundle(output.data)) for output in self.outputs)

    def port_error(self) -> ExecutionError | None:
        """The exception as the port has it."""
        if self.error is None:
            return None
        return ExecutionError(self.error.name, self.error.message, self.error.traceback)


class ReportPart:
    """One value of a report that may be longer than a value."""

    def __init__(self, text: str) -> None:
        """Read a value.

        Raises:
            BadReportError: it is not a part of a report.
        """
        total, colon, self.packed = text.removeprefix(PREFIX).partition(":")
        if not (text.startswith(PREFIX) and colon and total.isascii() and total.isdigit()):
            raise BadReportError
        self.total_characters = int(total[:10])
        if not len(self.packed) <= self.total_characters <= _MAX_PACKED_CHARACTERS:
            raise BadReportError


def wrap(code: str, *, bring_module: bool) -> str:
    """The code to send.

    Args:
        code: what to run.
        bring_module: whether the session may not have the module yet.
    """
    name, packed = _module()
    module = f'__import__("sys").modules["{name}"]'
    # ASCII, not repr: no character of the code can be one that IPython or the way changes.
    call = f"await {module}.run({code!a})"
    if not bring_module:
        return f'{call} if "{name}" in __import__("sys").modules else "{ABSENT}"'
    return f'exec({_LOADER!r}, {{"name": "{name}", "packed": "{packed}"}})\n{call}'


def ask_for_more(start: int) -> str:
    """The code that gives the part of the last report from this character on."""
    name, _ = _module()
    return f'__import__("sys").modules["{name}"].more({start})'


def read_report(packed: str) -> Report:
    """Read a whole report.

    Raises:
        BadReportError: it is not one, or is too large.
    """
    try:
        decompressor = zlib.decompressobj()
        data = decompressor.decompress(base64.b64decode(packed, validate=True), _MAX_REPORT_BYTES)
        if not decompressor.eof:
            raise BadReportError
        return Report.model_validate_json(data)
    except (binascii.Error, ValueError, zlib.error, ValidationError) as error:
        raise BadReportError from error


@functools.cache
def _module() -> tuple[str, str]:
    own = resources.files("aca_mcp.azure").joinpath("in_session.py").read_text("utf-8")
    imported = resources.files("aca_mcp.kernel").joinpath("changes.py").read_text("utf-8")
    # A module has one such line, at its beginning.
    source = own.replace(_IMPORT, imported.replace(_FUTURE, "")).encode()
    # Two versions of the package may use one session in turn: each brings its own module.
    name = f"_aca_mcp_{hashlib.sha256(source).hexdigest()[:12]}"
    return name, base64.b64encode(zlib.compress(source, 9)).decode()


def _bundle(data: dict[str, str | _Image]) -> dict[str, str | bytes]:
    bundle: dict[str, str | bytes] = {}
    for mime, content in data.items():
        if isinstance(content, str):
            bundle[mime] = content
            continue
        try:
            bundle[mime] = base64.b64decode(content.base64)
        except (binascii.Error, ValueError):
            continue
    return bundle
