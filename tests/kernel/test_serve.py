"""The loop of a session, over a real socket pair."""

from __future__ import annotations

import email.message
import signal
import socket
import threading
from importlib import metadata
from typing import TYPE_CHECKING, cast

import pytest

from aca_mcp.kernel.distributions import installed_packages
from aca_mcp.kernel.message_framing import MAX_REPLY_HEADER_BYTES, Frame, FrameDecoder, encode
from aca_mcp.kernel.pip_listing import listed
from aca_mcp.kernel.serve import Connection, prefault, serve
from tests.kernel.results import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aca_mcp.kernel.interpreter import Interpreter
    from aca_mcp.kernel.streams import Streams


class NoStreams:
    """Streams of a process whose stdout and stderr are the tests' own: places without marks."""

    def __init__(self) -> None:
        self.number = self.cleared = 0

    def begin(self, old_threads: frozenset[int]) -> None:
        self.number = 0

    def place(self) -> int:
        self.number += 1
        return self.number

    clear = place

    def clear_before_next(self) -> None:
        pass

    def flush(self) -> None:
        pass


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
        serve(theirs, interpreter, cast("Streams", NoStreams()))
        theirs.close()
        decoder = FrameDecoder(MAX_REPLY_HEADER_BYTES)
        found: list[Frame] = []
        while data := ours.recv(2**20):
            found += decoder.feed(data)
    return found


def test_each_request_is_answered_in_turn_with_events(interpreter: Interpreter) -> None:
    first, shown, second = answers(
        interpreter,
        {"op": "execute", "id": 1, "code": "x = 6"},
        {"op": "execute", "id": 2, "code": "x * 7"},
    )
    assert (first.header["id"], first.header["event"]) == (1, "done")
    assert (second.header["id"], second.header["event"], second.header["error"]) == (
        2,
        "done",
        None,
    )
    data = {"text/plain": "42", "application/json": "42"}
    assert shown.header == {"id": 2, "event": "result", "place": None, "data": data}


def test_an_error_is_answered_with_its_parts(interpreter: Interpreter) -> None:
    (answer,) = answers(interpreter, {"op": "execute", "id": 1, "code": "1/0"})
    error = answer.header["error"]
    assert isinstance(error, dict)
    assert error["name"] == "ZeroDivisionError"  # pyright: ignore[reportUnknownArgumentType] -- JSON


def test_images_and_long_texts_travel_as_attachments(interpreter: Interpreter) -> None:
    code = "import PIL.Image; display(PIL.Image.new('RGB', (2, 2))); 'x' * 10_000"
    image, text, _ = answers(interpreter, {"op": "execute", "id": 1, "code": code})
    assert image.blobs[0].startswith(b"\x89PNG")
    assert text.blobs[0] == f"'{'x' * 10_000}'".encode()


def test_an_event_too_large_for_a_frame_says_so(interpreter: Interpreter) -> None:
    types = ", ".join(f"'text/x{n}': 'x' * 250_000" for n in range(70))
    code = f"display({{{types}}}, raw=True)"
    shown, answer = answers(interpreter, {"op": "execute", "id": 1, "code": code})
    assert shown.header["remarks"] == ["too large to be shown; save it to a file instead"]
    assert answer.header["event"] == "done"


def test_what_a_raising_handler_left_unsent_is_sent_first() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(theirs)
        data = bytes(4 * 2**20)

        def stop(number: int, frame: object) -> None:
            raise TimeoutError

        before = signal.signal(signal.SIGALRM, stop)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(TimeoutError):
                connection.send(data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        received: list[bytes] = []

        def read() -> None:
            while part := ours.recv(2**20):
                received.append(part)

        reader = threading.Thread(target=read)
        reader.start()
        connection.send(b"next")
        theirs.shutdown(socket.SHUT_WR)
        reader.join(10)
        assert b"".join(received) == data + b"next"


def test_prefaulting_leaves_nothing(
    interpreter: Interpreter, capfd: pytest.CaptureFixture[str]
) -> None:
    prefault(interpreter, NoStreams())
    assert run(interpreter, "_").texts == ["''"]  # as where nothing has run
    assert run(interpreter, "sys").error_name == "NameError"
    assert capfd.readouterr() == ("", "")


def test_packages_are_those_of_the_path(interpreter: Interpreter) -> None:
    (answer,) = answers(interpreter, {"op": "packages", "id": 1})
    assert answer.header["packages"] == [list(row) for row in installed_packages()]
    assert ("ipython", metadata.version("ipython"), ["IPython"]) in installed_packages()


def test_packages_are_listed_once_and_sorted_without_regard_to_case() -> None:
    names = [name.lower() for name, _, _ in installed_packages()]
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
    assert installed_packages() == [("thing", "2.0", [])]
    assert listed("list", []) == ("thing 2.0\n", 0)


def test_packages_are_told_also_by_who_raises_for_what_they_do_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``importlib_metadata`` does, which answers in the place of Python once it is imported."""

    class Strict(email.message.Message):
        def __getitem__(self, name: str) -> str:
            return dict(self.items())[name]

    strict = Strict()
    strict["Name"], strict["Version"] = "thing", "2.0"
    (tmp_path / "thing-2.0.dist-info").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr(metadata.PathDistribution, "metadata", strict)
    text, code = listed("show", ["thing", "other"])
    assert text.startswith("Name: thing\nVersion: 2.0\nSummary: \n")
    assert text.endswith("WARNING: Package(s) not found: other\n")
    assert code == 0
