"""A kernel's reply, checked: what comes out of a session is data, never believed.

Pure. The code of a session can forge its kernel's replies; the most that gains it is to end its
own session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from aca_mcp.kernel.frames import Frame, FrameError
from aca_mcp.pool import ExecutionError, Output, Package

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERFERED = "its code interfered with the interpreter's own connection"
"""Why a session ends whose replies are not what its kernel would send: a clause."""

_MAX_OUTPUTS = 1000
_MAX_FILES = 20
_MAX_PATH_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class ExecutionReply:
    """What a kernel says of one run of code."""

    outputs: tuple[Output, ...]
    error: ExecutionError | None
    files: tuple[str, ...] = ()
    """That the code made or changed."""


def parse_execution(frame: Frame) -> ExecutionReply:
    """Read the reply to ``execute``.

    Raises:
        FrameError: it is not one.
    """
    entries = _list(frame.header.get("outputs"))[:_MAX_OUTPUTS]
    outputs = tuple(_parse_output(_object(entry), frame.blobs) for entry in entries)
    error = frame.header.get("error")
    return ExecutionReply(
        outputs,
        None if error is None else _parse_error(_object(error)),
        _parse_files(frame.header.get("files", [])),
    )


def parse_packages(frame: Frame) -> tuple[Package, ...]:
    """Read the reply to ``packages``.

    Raises:
        FrameError: it is not one.
    """
    return parse_package_rows(frame.header.get("packages"))


def parse_package_rows(rows: object) -> tuple[Package, ...]:
    """Read rows of name and version.

    Raises:
        FrameError: they are not that.
    """
    found: list[Package] = []
    for row in _list(rows):
        match row:
            case [str(name), str(version)]:
                found.append(Package(_clean(name), _clean(version)))
            case _:
                raise FrameError("a package has no name and version")
    return tuple(found)


def _parse_output(entry: Mapping[str, object], blobs: Sequence[bytes]) -> Output:
    kind: Literal["display", "result"] = "result" if entry.get("kind") == "result" else "display"
    data: dict[str, str | bytes] = {}
    for mime, content in _object(entry.get("data")).items():
        match content:
            case str():
                data[_clean(mime)] = _clean(content)
            case {"blob": int(number)} if 0 <= number < len(blobs):
                data[_clean(mime)] = blobs[number]
            case _:
                raise FrameError("an output has neither text nor an attachment")
    return Output(kind, data)


def _parse_files(paths: object) -> tuple[str, ...]:
    found: list[str] = []
    for path in _list(paths)[:_MAX_FILES]:
        if not isinstance(path, str) or len(path) > _MAX_PATH_CHARACTERS:
            raise FrameError("a file has no path")
        found.append(_clean(path))
    return tuple(found)


def _parse_error(error: Mapping[str, object]) -> ExecutionError:
    name, message, traceback = (error.get(key) for key in ("name", "message", "traceback"))
    if not (isinstance(name, str) and isinstance(message, str) and isinstance(traceback, str)):
        raise FrameError("an error has no name, message and traceback")
    return ExecutionError(_clean(name), _clean(message), _clean(traceback))


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FrameError("a reply has something else where an object belongs")
    return cast("dict[str, object]", value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise FrameError("a reply has something else where a list belongs")
    return cast("list[object]", value)


def _clean(text: str) -> str:
    """Lone surrogates cannot be encoded again; they are shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
