"""What an execution's request asks, read from its body in any dialect and checked. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from aca_mcp.emulator.response_bodies import DEFAULT_STREAM_CHARACTERS, ResultForm
from aca_mcp.emulator.service_errors import (
    MAX_TIMEOUT_SECONDS,
    invalid_body,
    missing_property,
    not_supported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.emulator.routes import Dialect

DEFAULT_TIMEOUT_SECONDS = MAX_TIMEOUT_SECONDS
"""What an execution has that names no timeout."""
MAX_SHELL_TIMEOUT_SECONDS = 600
_MAX_STREAM_CHARACTERS = 2**31 - 1
_SHELL_FIELDS = ("shellCommand", "execCommandAndArgs", "stdin")
_CODE_FIELDS = ("code", "pythonCode", "codeInputType", "executionType")
_MAX_ARGUMENTS = 1000
_TIMEOUT = "timeoutInSeconds"
_PROGRAM = """
import subprocess, sys
def run(arguments, stdin):
    sys.stdout.flush(); sys.stderr.flush()
    try:
        done = subprocess.run(arguments, input=stdin.encode("utf-8", "surrogateescape")).returncode
        return done if done >= 0 else 128 - done  # as shells tell of a signal
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 127
"""


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A program that is to be run in a shell pool's session."""

    arguments: tuple[str, ...]
    """The executable and what it is given."""
    stdin: str = ""

    def program(self) -> str:
        """Code that runs it in the work directory, and whose value is the exit code."""
        run = f'(lambda names: (exec({_PROGRAM!r}, names), names["run"])[1])({{}})'
        return f"{run}({list(self.arguments)!a}, {self.stdin!a})"


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """An execution that is asked for."""

    code: str | ShellCommand
    kind: Literal["Synchronous", "Asynchronous"]
    timeout_seconds: int
    form: ResultForm
    names_timeout: bool = True
    """It is the request's own, and not what an execution has by default."""


def read_fields(body: bytes, dialect: Dialect) -> Mapping[str, object]:
    """The fields of a request's body. One that is null is not there.

    Raises:
        ServiceError: the body is no JSON object.
    """
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid_body(body="A JSON object is required.")
    fields = cast("Mapping[str, object]", value)
    inner = fields.get("properties")
    if isinstance(inner, dict) and dialect != "flat":
        fields = cast("Mapping[str, object]", inner)
    return {name: given for name, given in fields.items() if given is not None}


def read_python_request(fields: Mapping[str, object]) -> ExecutionRequest:
    """Read an execution's request to a pool that runs Python.

    Raises:
        ServiceError: it does not fit the contract, or asks for what such a pool has not.
    """
    if any(name in fields for name in _SHELL_FIELDS):
        raise invalid_body(shellCommand="This session pool runs Python; it has no shell.")
    if fields.get("useEmptyKernel"):
        raise not_supported("The emulator has no empty kernels.")
    code = fields.get("code", fields.get("pythonCode"))
    if code is None:
        raise missing_property("code")
    if not isinstance(code, str):
        raise invalid_body(code="It must be text.")
    return ExecutionRequest(
        code=_decoded(code, fields),
        kind=_kind(fields),
        timeout_seconds=_timeout(fields, MAX_TIMEOUT_SECONDS),
        form=ResultForm(
            _stream_characters(fields),
            jupyter=bool(fields.get("returnJupyterFormatExecutionResult")),
        ),
        names_timeout=_TIMEOUT in fields,
    )


def read_shell_request(fields: Mapping[str, object]) -> ExecutionRequest:
    """Read an execution's request to a shell pool, which takes no code and none of its options.

    Raises:
        ServiceError: it does not fit the contract.
    """
    if unknown := [name for name in _CODE_FIELDS if name in fields]:
        raise invalid_body(**{unknown[0]: "This session pool runs a shell and not code."})
    command, program = fields.get("shellCommand"), fields.get("execCommandAndArgs")
    stdin = fields.get("stdin", "")
    if not isinstance(stdin, str):
        raise invalid_body(stdin="It must be text.")
    if isinstance(program, list) and command is None:
        arguments = tuple(cast("list[object]", program))
        if not 1 <= len(arguments) <= _MAX_ARGUMENTS or not all(
            isinstance(each, str) and "\0" not in each for each in arguments
        ):
            raise invalid_body(execCommandAndArgs="It must be a list of texts.")
        shell = ShellCommand(cast("tuple[str, ...]", arguments), stdin)
    elif isinstance(command, str) and program is None and "\0" not in command:
        shell = ShellCommand(("/bin/bash", "-c", command), stdin)
    elif command is None and program is None:
        raise missing_property("shellCommand")
    else:
        raise invalid_body(shellCommand="One of shellCommand and execCommandAndArgs is required.")
    return ExecutionRequest(
        code=shell,
        kind="Synchronous",
        timeout_seconds=_timeout(fields, MAX_SHELL_TIMEOUT_SECONDS),
        form=ResultForm(_stream_characters(fields)),
        names_timeout=_TIMEOUT in fields,
    )


def _timeout(fields: Mapping[str, object], most: int) -> int:
    timeout = fields.get(_TIMEOUT, DEFAULT_TIMEOUT_SECONDS)
    if not _is_count(timeout, most):
        raise invalid_body(timeoutInSeconds=f"It must be from 1 to {most}.")
    return cast("int", timeout)


def _stream_characters(fields: Mapping[str, object]) -> int:
    length = fields.get("outputStreamsMaxLength", DEFAULT_STREAM_CHARACTERS)
    if not _is_count(length, _MAX_STREAM_CHARACTERS):
        raise invalid_body(outputStreamsMaxLength="It must be a positive number.")
    return cast("int", length)


def _kind(fields: Mapping[str, object]) -> Literal["Synchronous", "Asynchronous"]:
    given = str(fields.get("executionType", "Synchronous")).lower()
    if given == "synchronous":
        return "Synchronous"
    if given == "asynchronous":
        return "Asynchronous"
    raise invalid_body(executionType="It must be Synchronous or Asynchronous.")


def _decoded(code: str, fields: Mapping[str, object]) -> str:
    given = str(fields.get("codeInputType", "Inline")).lower()
    if given in ("inline", "inlinetext"):
        return code
    if given == "inlinebase64":
        try:
            return base64.b64decode(code, validate=True).decode()
        except (binascii.Error, ValueError):
            raise invalid_body(code="It is not base64 of UTF-8.") from None
    raise invalid_body(codeInputType="It must be Inline, InlineBase64 or InlineText.")


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
