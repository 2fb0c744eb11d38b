"""The loop of a session, over a real socket pair."""

from __future__ import annotations

import base64
import signal
import socket
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.frames import MAX_HEADER_BYTES, Frame, FrameDecoder, encode
from aca_mcp.kernel.outputs import MAX_TEXT_CHARACTERS
from aca_mcp.kernel.serve import installed_packages, rehearse, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aca_mcp.kernel.interpreter import Interpreter


@pytest.fixture(autouse=True)
def keep_interrupts() -> object:
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def answers(interpreter: Interpreter, *requests: Mapping[str, object]) -> list[Frame]:
    """What a session answers before its connection closes.

    The requests are there before it begins, so nothing here waits for anything.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
        ours.sendall(b"".join(encode(Frame(request)) for request in requests))
        ours.shutdown(socket.SHUT_WR)
        serve(theirs, interpreter)
        theirs.close()
        decoder = FrameDecoder()
        found: list[Frame] = []
        while data := ours.recv(2**20):
            found += decoder.feed(data)
    return found


def test_each_request_is_answered_in_turn(interpreter: Interpreter) -> None:
    first, second = answers(
        interpreter,
        {"op": "execute", "id": 1, "code": "x = 6"},
        {"op": "execute", "id": 2, "code": "x * 7"},
    )
    assert (first.header["id"], first.header["outputs"]) == (1, [])
    assert (second.header["id"], second.header["error"]) == (2, None)
    data = {"text/plain": "42", "application/json": "42"}
    assert second.header["outputs"] == [{"kind": "result", "data": data}]


def test_an_error_is_answered_with_its_parts(interpreter: Interpreter) -> None:
    (answer,) = answers(interpreter, {"op": "execute", "id": 1, "code": "1/0"})
    error = answer.header["error"]
    assert isinstance(error, dict)
    assert error["name"] == "ZeroDivisionError"  # pyright: ignore[reportUnknownArgumentType] -- JSON
    assert set(error) == {"name", "message", "traceback"}  # pyright: ignore[reportUnknownArgumentType] -- JSON


def test_images_travel_as_attachments(interpreter: Interpreter) -> None:
    png = base64.b64encode(b"\x89PNG").decode()
    code = f"display({{'image/png': {png!r}}}, raw=True)"
    (answer,) = answers(interpreter, {"op": "execute", "id": 1, "code": code})
    assert answer.blobs == (b"\x89PNG",)


def test_an_answer_too_large_comes_without_what_makes_it_so(interpreter: Interpreter) -> None:
    displays = MAX_HEADER_BYTES // MAX_TEXT_CHARACTERS + 1
    show = f"display({{'text/plain': 'x' * {MAX_TEXT_CHARACTERS}}}, raw=True)"
    code = f"for _ in range({displays}): {show}"
    (answer,) = answers(interpreter, {"op": "execute", "id": 1, "code": f"{code}\n1/0"})
    note = "[the outputs were too large together; save them to files instead]"
    data = {"text/plain": note}
    assert answer.header["outputs"] == [{"kind": "display", "data": data}]
    assert answer.header["error"] is not None


def test_a_rehearsal_leaves_nothing(
    interpreter: Interpreter, capfd: pytest.CaptureFixture[str]
) -> None:
    rehearse(interpreter)
    assert interpreter.run("_").outputs.entries == []
    assert interpreter.run("sys").error_name == "NameError"
    assert capfd.readouterr() == ("", "")


def test_packages_are_those_of_the_path(interpreter: Interpreter) -> None:
    (answer,) = answers(interpreter, {"op": "packages", "id": 1})
    assert answer.header["packages"] == installed_packages()
    assert ["ipython", metadata.version("ipython")] in installed_packages()


def test_packages_are_listed_once_and_sorted_without_regard_to_case() -> None:
    names = [name.lower() for name, _ in installed_packages()]
    assert names == sorted(set(names))


def test_of_two_packages_with_a_name_the_first_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory, version in (("a", "2.0"), ("b", "1.0")):
        info = tmp_path / directory / f"thing-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: thing\nVersion: {version}\n")
    broken = tmp_path / "b" / "broken-1.dist-info"
    broken.mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert installed_packages() == [["thing", "2.0"]]
