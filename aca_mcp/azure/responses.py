"""What the service answers, as models that bear with every dialect it is known to speak.

The older API wraps bodies in ``properties`` and says ``Success``; the newer one is flat and says
``Succeeded``; containers of users are free to do either. A field that is missing or of another type
has its default: what is not known never fails. Pure; knows nothing of the port.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from aca_mcp.json_values import has_too_many_values

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEVER = datetime.fromtimestamp(0, UTC)
_MAX_DETAILS = 10
_MAX_CHARACTERS = 2**22
"""Of a stream or of a text value: more than was ever asked for."""
_MAX_ITEMS = 4000
"""Of a list: more than any page has."""
_OPERATION_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_RESULT_FIELDS = frozenset(
    {"stdout", "stderr", "executionResult", "executionTimeInMilliseconds", "exitCode"}
)


class NotUnderstoodError(Exception):
    """An answer is not JSON, or not an object: a gateway's page, or half an answer."""


class TooManyValuesError(NotUnderstoodError):
    """An answer has more values than are read: each takes many times what it has in JSON."""


def _text(value: object) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    return ""


def _number(value: object) -> float:
    try:
        number = float(cast("str", value))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _time(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        # The service writes seven decimals; Python 3.11 reads any number of them.
        moment = datetime.fromisoformat(cast("str", value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return _NEVER


def _objects(value: object) -> list[object]:
    if not isinstance(value, list):
        return []
    items = cast("list[object]", value)[:_MAX_ITEMS]
    return [item for item in items if isinstance(item, dict)]


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[float, BeforeValidator(_number)]
Time = Annotated[datetime, BeforeValidator(_time)]


class ServiceResponse(BaseModel):
    """Base of what the service answers."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True
    )

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read an answer's body.

        Raises:
            NotUnderstoodError: it is not a JSON object.
        """
        return cls.model_validate(_unwrapped(read_object(body)))


def read_object(body: bytes) -> Mapping[str, object]:
    """Read a JSON object.

    Raises:
        NotUnderstoodError: it is not one.
    """
    value = _parsed(body)
    if not isinstance(value, dict):
        raise NotUnderstoodError
    return cast("Mapping[str, object]", value)


def read_list_or_object(body: bytes) -> Mapping[str, object]:
    """Read a JSON object, or a list of objects as an object that has it as its ``value``.

    Raises:
        NotUnderstoodError: it is neither.
    """
    value = _parsed(body)
    if isinstance(value, list):
        items = cast("list[object]", value)
        if all(isinstance(item, dict) for item in items):
            return {"value": items}
    return read_object(body)


def _parsed(body: bytes) -> object:
    if has_too_many_values(body):
        raise TooManyValuesError
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError from error
    return value


def _unwrapped(body: Mapping[str, object]) -> Mapping[str, object]:
    inner = body.get("properties")
    return cast("Mapping[str, object]", inner) if isinstance(inner, dict) else body


class Fault(ServiceResponse):
    """An error as the service words it: nested, flat, a problem report, a text, or nothing."""

    code: Text = ""
    message: Annotated[Text, Field(validation_alias=AliasChoices("message", "title", "detail"))] = (
        ""
    )

    @classmethod
    def find(cls, body: bytes) -> Fault:
        """Read what there is of an error in any body."""
        try:
            value = _parsed(body)
        except NotUnderstoodError:
            return cls()
        if isinstance(value, str):  # containers with Microsoft's own image say no more
            return cls(message=value)
        return cls.of(cast("Mapping[str, object]", value)) if isinstance(value, dict) else cls()

    @classmethod
    def of(cls, body: Mapping[str, object]) -> Fault:
        """Read an error, however deep it is nested."""
        for _ in range(4):
            inner = body.get("error")
            if isinstance(inner, str):
                return cls(code=_text(body.get("code")), message=inner)
            if not isinstance(inner, dict):
                break
            body = cast("Mapping[str, object]", inner)
        if isinstance(body.get("errors"), dict):
            # Each name is a field of the request, so they say what is wrong with it.
            names = ", ".join(sorted(map(str, cast("dict[object, object]", body["errors"]))))
            return cls(code="ValidationFailed", message=f"{_text(body.get('title'))} ({names})")
        fault = cls.model_validate(body)
        targets = [_text(body.get("target")), *_targets(body.get("details"))]
        if named := ", ".join(each for each in targets if each and each not in fault.message):
            return cls(code=fault.code, message=f"{fault.message} ({named})".strip())
        return fault


def _targets(details: object) -> list[str]:
    """The fields of a request that an error's details name."""
    found = [cast("Mapping[str, object]", each) for each in _objects(details)[:_MAX_DETAILS]]
    return [_text(each.get("target")) for each in found]


class ExecutionResponse(ServiceResponse):
    """An execution, running or ended."""

    id: Text = ""
    status: Text = ""
    fault: Fault | None = None
    stdout: Text = ""
    stderr: Text = ""
    value: object = None
    milliseconds: Number = 0.0

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read an answer's body in either dialect.

        Raises:
            NotUnderstoodError: it is not a JSON object, or not an execution.
        """
        outer = _unwrapped(read_object(body))
        inner = outer.get("result")
        nested = isinstance(inner, dict) and bool(_RESULT_FIELDS & inner.keys())
        result = cast("Mapping[str, object]", inner) if nested else outer
        if not nested and not (_RESULT_FIELDS | {"status"}) & outer.keys():
            raise NotUnderstoodError
        value = result.get("executionResult", None if nested else outer.get("result"))
        # Containers with Microsoft's own shell image have the exit code under its own name.
        status = _text(outer.get("exitCode") or outer.get("status", outer.get("exitCode")))
        return cls(
            id=_execution_id(outer, status, _text(result.get("stdout"))),
            status=status,
            fault=_execution_fault(outer),
            stdout=_bounded(result.get("stdout")),
            stderr=_bounded(result.get("stderr")),
            value=_bounded(value) if isinstance(value, str) else value,
            milliseconds=cast("float", result.get("executionTimeInMilliseconds")),
        )

    @property
    def is_pending(self) -> bool:
        """It has not ended yet."""
        return _is_pending(self.status)

    @property
    def has_failed(self) -> bool:
        """It has ended badly, whichever of the ways to say so was taken."""
        status = self.status.lower()
        bad_exit = status.removeprefix("-").isdigit() and status != "0"
        return self.fault is not None or bad_exit or status in {"failed", "failure", "canceled"}


def _bounded(value: object) -> str:
    return _text(value)[:_MAX_CHARACTERS]


def _is_pending(status: str) -> bool:
    return status.lower() in {"notstarted", "running"}


def _execution_id(body: Mapping[str, object], status: str, stdout: str) -> str:
    """The execution's id, which containers with Microsoft's own image print when it is begun."""
    raw = body.get("rawResult")
    within = cast("dict[str, object]", raw) if isinstance(raw, dict) else dict[str, object]()
    told = body.get("id") or body.get("operationId") or within.get("operationId")
    printed = stdout.strip()
    if not told and _is_pending(status) and _OPERATION_ID.fullmatch(printed):
        return printed
    return _text(told)


def _execution_fault(body: Mapping[str, object]) -> Fault | None:
    if isinstance(body.get("error"), dict) or (
        isinstance(body.get("error"), str) and body["error"]
    ):
        return Fault.of(body)
    if name := _text(body.get("errorName")):  # of Microsoft's own shell image
        return Fault(code=name, message=_text(body.get("errorMessage")))
    raw = body.get("rawResult")  # containers with Microsoft's own image add it
    if isinstance(raw, dict):
        told = cast("Mapping[str, object]", raw)
        if name := _text(told.get("error_name")):
            return Fault(code=name, message=_text(told.get("error_message")))
    return None


class FileResponse(ServiceResponse):
    """A file or a directory."""

    name: Annotated[Text, Field(validation_alias=AliasChoices("name", "filename"))] = ""
    type: Text = "file"
    size_in_bytes: Annotated[
        Number, Field(validation_alias=AliasChoices("sizeInBytes", "size"))
    ] = 0.0
    last_modified_at: Annotated[
        Time, Field(validation_alias=AliasChoices("lastModifiedAt", "lastModifiedTime"))
    ] = _NEVER
    directory: Text = ""

    @property
    def tells_time(self) -> bool:
        """The answer says when the file was last changed."""
        return self.last_modified_at != _NEVER

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read one file; of a list of uploaded files, the first.

        Raises:
            NotUnderstoodError: it is neither.
        """
        value = read_list_or_object(body)
        if listed := _objects(value.get("value")):
            value = cast("Mapping[str, object]", listed[0])
        return cls.model_validate(_unwrapped(value))


class FileListResponse(ServiceResponse):
    """A page of files."""

    value: Annotated[list[FileResponse], BeforeValidator(lambda items: _each_unwrapped(items))] = []
    next_link: Text = ""

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read a page, or the bare list that containers with Microsoft's own image answer.

        Raises:
            NotUnderstoodError: it is neither.
        """
        return cls.model_validate(_unwrapped(read_list_or_object(body)))


def _each_unwrapped(items: object) -> list[object]:
    return [_unwrapped(cast("Mapping[str, object]", item)) for item in _objects(items)]


class SessionResponse(ServiceResponse):
    """A session."""

    created_at: Time = _NEVER
    last_accessed_at: Time = _NEVER
    expire_at: Annotated[Time, Field(validation_alias=AliasChoices("expireAt", "expiresAt"))] = (
        _NEVER
    )
    etag: Text = ""


class NamedVersion(ServiceResponse):
    """A runtime or a package."""

    name: Text = ""
    version: Text = ""


class MetadataResponse(ServiceResponse):
    """What a pool's sessions have."""

    runtimes: Annotated[list[NamedVersion], BeforeValidator(_objects)] = []
    pre_installed_packages: Annotated[list[NamedVersion], BeforeValidator(_objects)] = []
