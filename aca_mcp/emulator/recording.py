"""Writes what clients and the emulator said to each other, for a bug report: shapes, no contents.

Kept are methods, operations, statuses, the names of headers and of fields, kinds and lengths. Not
kept are the values of fields, but for the few words that the API itself defines; anything of what
code gave or of a file; identifiers, file names, tokens, paths before or beside the operations, and
names that no API would choose, with digits in them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl

from aca_mcp.emulator.routes import VERSIONS, Operation, find_route, raw_path

if TYPE_CHECKING:
    from typing import TextIO

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from aca_mcp.emulator.routes import Route

_MAX_BODY_BYTES = 2**20
_MAX_FIELDS = 50
_MAX_DEPTH = 5
_NAME = re.compile(r"[A-Za-z$_][A-Za-z$_.-]{0,40}|base64_data")
_OPEN_FIELDS = frozenset(
    {"status", "codeInputType", "executionType", "timeoutInSeconds", "outputStreamsMaxLength"}
    | {"type", "format", "executionTimeInMilliseconds", "returnJupyterFormatExecutionResult"}
    | {"sizeInBytes", "size", "count"}
)
"""Their values are the API's own words and numbers."""
_WORDS = frozenset(
    {"succeeded", "failed", "running", "notstarted", "canceled", "success", "failure"}
    | {"inline", "inlinebase64", "inlinetext", "synchronous", "asynchronous"}
    | {"file", "directory", "image", "png", "jpeg", "svg+xml"}
)
_NUMBER = re.compile(r"-?\d{1,12}")
_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z.+-]{1,40}")
_OF_CODE = frozenset({"result", "executionResult"})
"""Fields with what code gave, in which any name may stand."""
_OF_RESULT = ("stdout", "stderr", "executionResult", "executionTimeInMilliseconds")


def shape_of(value: object, name: str = "", depth: int = 0) -> object:
    """A JSON value without what it says: kinds and lengths, and the names of its fields.

    Args:
        value: what was in a body.
        name: of the field that has it.
        depth: how deep it lies.
    """
    if name in _OF_CODE:
        return _shape_of_result(value)
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        if depth >= _MAX_DEPTH:
            return _kind_of(fields)
        named = [each for each in fields if _NAME.fullmatch(each)][:_MAX_FIELDS]
        shape = {each: shape_of(fields[each], each, depth + 1) for each in named}
        left = len(fields) - len(named)
        return shape | ({"...": f"{left} more"} if left else {})
    if isinstance(value, list):
        items = cast("list[object]", value)
        shown = [shape_of(items[0], "", depth + 1)] if items and depth < _MAX_DEPTH else []
        return {"list of": len(items), "first": shown}
    if name in _OPEN_FIELDS and _is_open(value):
        return value
    return value if value is None or isinstance(value, bool) else _kind_of(value)


def _is_open(value: object) -> bool:
    """Whether a value is one that the API defines, in whatever field a client puts it."""
    if isinstance(value, str):
        return value.lower() in _WORDS or (len(value) <= 3 and bool(_NUMBER.fullmatch(value)))
    return isinstance(value, int) and bool(_NUMBER.fullmatch(str(value)))


def _shape_of_result(value: object) -> object:
    """The newer dialect's result, or the value that the older one has in its place."""
    if not isinstance(value, dict):
        return _kind_of(value)
    fields = cast("dict[str, object]", value)
    shape: dict[str, object] = {
        each: _kind_of(fields[each]) for each in _OF_RESULT if each in fields
    }
    return shape or _kind_of(fields)


def _kind_of(value: object) -> str | None:
    """A value by its kind and length alone."""
    match value:
        case None:
            return None
        case bool():
            return "boolean"
        case str():
            return f"text of {len(value)}"
        case dict():
            return f"object of {len(cast('dict[str, object]', value))}"
        case list():
            return f"list of {len(cast('list[object]', value))}"
        case _:
            return "number"


class Recorder:
    """An ASGI application around another one.

    Args:
        app: the emulator.
        file: gets a line of JSON for each exchange.
    """

    def __init__(self, app: ASGIApp, file: TextIO) -> None:
        self._app = app
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and write what it was once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, answered = bytearray(), bytearray()
        begun: Message | None = None

        async def hear() -> Message:
            message = await receive()
            _keep(asked, message)
            return message

        async def say(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message
            else:
                _keep(answered, message)
            await send(message)

        try:
            await self._app(scope, hear, say)
        finally:
            headers: object = begun["headers"] if begun is not None else ()
            route = find_route(scope["method"], raw_path(scope))
            operation = route.operation if route is not None else None
            # What is sent to anything else may be a file, also where it should not be.
            sent = _body(scope["headers"], asked, is_file=operation is not Operation.EXECUTE)
            given = _body(headers, answered, is_file=operation is Operation.READ_FILE)
            line = {
                "request": _request_line(scope, route) | sent,
                "response": _response_line(begun) | given,
            }
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def _keep(body: bytearray, message: Message) -> None:
    chunk: object = message.get("body", b"")
    if isinstance(chunk, bytes) and len(body) <= _MAX_BODY_BYTES:
        body += chunk


def _request_line(scope: Scope, route: Route | None) -> dict[str, object]:
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    version = next((value for name, value in query if name.lower() == "api-version"), "")
    return {
        "method": scope["method"],
        "operation": route.operation.name if route is not None else "unknown",
        "earliest family": route is not None and route.is_earliest,
        "api-version": version if version in VERSIONS else "another",
        "query": sorted({name for name, _ in query if _NAME.fullmatch(name)}),
        "headers": _names(scope["headers"]),
    }


def _response_line(begun: Message | None) -> dict[str, object]:
    if begun is None:
        return {"status": None}
    return {"status": begun["status"], "headers": _names(begun["headers"])}


def _names(headers: object) -> list[str]:
    pairs = cast("list[tuple[bytes, bytes]]", headers)
    names = {name.decode("latin-1").lower() for name, _ in pairs}
    return sorted(filter(_NAME.fullmatch, names))


def _body(headers: object, body: bytearray, *, is_file: bool) -> dict[str, object]:
    if not body:
        return {}
    pairs = dict(cast("list[tuple[bytes, bytes]]", headers))
    kind = pairs.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()
    known = kind if _MEDIA_TYPE.fullmatch(kind) else "another"
    told: dict[str, object] = {"content-type": known, "bytes": len(body)}
    if is_file or len(body) > _MAX_BODY_BYTES:
        return told
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return told
    return told | {"body": shape_of(value)}
