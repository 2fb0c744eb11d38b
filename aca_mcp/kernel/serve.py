"""The loop of a session: a frame in, a piece of code run, a frame out."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING

from aca_mcp.kernel.changes import changed, snapshot
from aca_mcp.kernel.frames import Frame, FrameDecoder, FrameError, encode

if TYPE_CHECKING:
    import socket

    from aca_mcp.kernel.interpreter import CellResult, Interpreter

_READ_BYTES = 64 * 1024


def serve(control: socket.socket, interpreter: Interpreter) -> None:
    """Answer frames until the other end closes the connection. The interpreter has begun.

    ``{"op": "execute", "id": n, "code": text}`` is answered with a result,
    ``{"op": "packages", "id": n}`` with what can be imported.
    """
    decoder = FrameDecoder()
    work_directory = os.getcwd()  # noqa: PTH109 -- code may go elsewhere
    while data := control.recv(_READ_BYTES):
        for frame in decoder.feed(data):
            control.sendall(answer(frame, interpreter, work_directory))


def rehearse(interpreter: Interpreter) -> None:
    """Answer a request, and forget it.

    A forked process copies each page of memory when it first changes it. Those that every request
    changes are better copied in a session started ahead than when somebody waits.
    """
    request = encode(Frame({"op": "execute", "id": 0, "code": "import sys\nprint(end='')\n1"}))
    for frame in FrameDecoder().feed(request):
        answer(frame, interpreter, ".")
    interpreter.forget()


def answer(frame: Frame, interpreter: Interpreter, work_directory: str) -> bytes:
    """Do what a request asks for, and return the encoded reply."""
    return _encode(_answer(frame, interpreter, work_directory))


def _answer(frame: Frame, interpreter: Interpreter, work_directory: str) -> Frame:
    number = frame.header["id"]
    if frame.header["op"] == "packages":
        return Frame({"id": number, "packages": installed_packages()})
    before = snapshot(work_directory)
    result = interpreter.run(str(frame.header["code"]))
    return _result_frame(number, result, changed(before, snapshot(work_directory)))


def _encode(frame: Frame) -> bytes:
    try:
        return encode(frame)
    except FrameError:
        # Too many outputs, each within its own bound: better none than no answer.
        note = {"text/plain": "[the outputs were too large together; save them to files instead]"}
        return encode(Frame({**frame.header, "outputs": [{"kind": "display", "data": note}]}))


def _result_frame(number: object, result: CellResult, files: list[str]) -> Frame:
    error = None
    if result.error_name is not None:
        error = {
            "name": result.error_name,
            "message": result.error_message,
            "traceback": result.traceback,
        }
    header = {
        "id": number,
        "error": error,
        "outputs": result.outputs.entries,
        "duration": result.duration_seconds,
        "files": [os.fsencode(path).decode(errors="replace") for path in files],
    }
    return Frame(header, result.outputs.blobs)


def installed_packages() -> list[list[str]]:
    """Name and version of each distribution on ``sys.path``, the first of a name, sorted."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return [[name, found[name]] for name in sorted(found, key=str.lower)]
