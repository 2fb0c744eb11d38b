"""What a request asks, read from its body in either dialect and checked. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from aca_mcp.emulator.bodies import ResultForm
from aca_mcp.emulator.catalogue import (
    MAX_TIMEOUT_SECONDS,
    invalid_body,
    invalid_file_name,
    invalid_file_path,
    not_here,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT_SECONDS = 60
_SHELL_FIELDS = ("shellCommand", "execCommandAndArgs", "stdin")
_NAME_CHARACTERS = frozenset("-_ .@$&=;,#%^()")


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """An execution that is asked for."""

    code: str
    kind: Literal["Synchronous", "Asynchronous"]
    timeout_seconds: int
    form: ResultForm


def read_execution_request(body: bytes) -> ExecutionRequest:
    """Read an execution's request.

    Raises:
        ServiceError: it does not fit the contract, or asks for what a Python pool has not.
    """
    fields = _fields(body)
    if any(name in fields for name in _SHELL_FIELDS):
        raise invalid_body(shellCommand="This session pool runs Python; it has no shell.")
    if fields.get("useEmptyKernel"):
        raise not_here("The emulator has no empty kernels.")
    code = fields.get("code", fields.get("pythonCode"))
    if not isinstance(code, str):
        raise invalid_body(code="The Code field is required.")
    timeout = fields.get("timeoutInSeconds", DEFAULT_TIMEOUT_SECONDS)
    if not _is_count(timeout, MAX_TIMEOUT_SECONDS):
        raise invalid_body(timeoutInSeconds=f"It must be from 1 to {MAX_TIMEOUT_SECONDS}.")
    length = fields.get("outputStreamsMaxLength", 4096)
    if not _is_count(length, 2**31 - 1):
        raise invalid_body(outputStreamsMaxLength="It must be a positive number.")
    return ExecutionRequest(
        code=_decoded(code, fields),
        kind=_kind(fields),
        timeout_seconds=cast("int", timeout),
        form=ResultForm(
            cast("int", length), jupyter=bool(fields.get("returnJupyterFormatExecutionResult"))
        ),
    )


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        fields = cast("Mapping[str, object]", value)
        inner = fields.get("properties")
        return cast("Mapping[str, object]", inner) if isinstance(inner, dict) else fields
    raise invalid_body(body="A JSON object is required.")


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


def uploaded_name(file_name: str) -> str:
    """The name under which an uploaded file is kept: clients put whole paths there.

    Raises:
        ServiceError: the service does not take the name.
    """
    name = file_name.replace("\\", "/").rpartition("/")[2]
    plain = all(character.isalnum() or character in _NAME_CHARACTERS for character in name)
    if not plain or name.strip(".") == "" or ".." in file_name.split("/"):
        raise invalid_file_name(name)
    return name


def checked_directory(path: str) -> str:
    """A directory below the work directory, without slashes at its ends.

    Raises:
        ServiceError: the service does not take it.
    """
    below = path.removeprefix("/mnt/data") if path.startswith("/mnt/data") else path
    parts = [part for part in below.split("/") if part]
    for part in parts:
        plain = all(character.isalnum() or character in _NAME_CHARACTERS for character in part)
        if not plain or part.startswith("."):
            raise invalid_file_path(path)
    return "/".join(parts)
