"""What sessions say, made to be dear to read: nobody else waits for a server that reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.arena import PRELUDE
from tests.hostile.test_interference import FORGERY
from tests.support.server_process import ROOT, Server, call

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_MILLISECONDS = 100
"""Twice what is promised, for machines of half the speed: what is not bounded takes far more."""
PROGRAM = Path(__file__).with_name("metered_server.py")

SAY = f"""{PRELUDE}{FORGERY}
import gc, socket, sys, zlib
def number_of_request(at):
    while at.f_code.co_name != 'serve': at = at.f_back
    return at.f_locals['frame'].header['id']
number = number_of_request(sys._getframe())
def raw(header, blobs=b''):
    return struct.pack('>II', len(header), len(blobs)) + header + blobs
def tell(*told):
    control = socket.socket(fileno=os.dup(3))
    for each in told: control.sendall(each)
def event(blobs=(), **more):
    header = dict(id=number, blobs=[len(each) for each in blobs], **more)
    return frame(header, b''.join(blobs))
def shown(data, *blobs, event='display', **more):
    return globals()['event'](blobs, event=event, data=data, **more)
def odd(member):
    text = b'{{"id":%d,"event":"display","data":{{}},"blobs":[],"x":[' % number
    return raw(text + member * (500_000 // len(member)) + b'1]}}')
def marks(written):
    token = next(o for o in gc.get_objects() if type(o).__name__ == 'Streams')._token
    return b''.join(token + b'e' + n.to_bytes(4, 'big') + written for n in range(1, 4000))
def flood(data, times):
    view = memoryview(data * times)
    while view: view = view[os.write(1, view):]
def picture(parts):
    def part(kind, data=b''):
        return (struct.pack('>I', len(data)) + kind + data
                + struct.pack('>I', zlib.crc32(kind + data)))
    size = struct.pack('>IIBBBBB', 9, 9, 8, 2, 0, 0, 0)
    return (b'\\x89PNG\\r\\n\\x1a\\n' + part(b'IHDR', size) + part(b'tEXt') * parts
            + part(b'IDAT', b'x') + part(b'IEND'))
"""

NO_TEXT = "b'\\xff' * (16 << 20)"
PROGRAMS = {
    "printed text that runs backwards": "print('\\u202e' * 3_000_000)",
    "shown text that runs backwards": "display({'text/plain': '\\u202e' * 1_000_000}, raw=True)",
    "attached text that runs backwards": (
        "tell(*[shown({'text/plain': {'text': 0}}, '\\u202e'.encode() * (5 << 20))] * 4)"
    ),
    "one attachment for all types": (
        "tell(shown({f'text/{n}': {'text': 0} for n in range(20)}, '\\u202e'.encode() * (5 << 20)))"
    ),
    "attachments that are no text": f"tell(*[shown({{'a/b': {{'text': 0}}}}, {NO_TEXT})] * 4)",
    "an output that changes": (
        "tell(shown({}, display_id='x'), *[shown({'text/plain': {'text': 0}}, b'x' * (16 << 20),"
        " event='update', display_id='x')] * 6)"
    ),
    "numbers": "tell(*[odd(b'1,')] * 4)",
    "long numbers": "tell(*[odd(b'1' * 4000 + b',')] * 4)",
    "empty lists": "tell(*[odd(b'[],')] * 4)",
    "empty objects": "tell(*[odd(b'{},')] * 4)",
    "types": "tell(shown({f'a/{n}': '' for n in range(30_000)}))",
    "nesting": "tell(raw(b'{\"x\":' * 80_000 + b'1' + b'}' * 80_000))",
    "small events": "tell(event(event='clear', place=0) * 20_000)",
    "small outputs": "tell(shown({f'a/{n}': 'x' for n in range(20)}) * 20_000)",
    "updates": (
        "tell(*[shown({}, display_id=f'x{n}') for n in range(1200)],"
        " shown({}, event='update', display_id='x1199') * 5000)"
    ),
    "remarks": "tell(shown({}, remarks=['\\x1b[A\\r' * 20_000] * 3))",
    "paths": "tell(event(event='done', error=None, files=['\\u202e' * 1300] * 50))",
    "an error": (
        "tell(event(event='done', files=[], error=dict(name='E', message='\\x1b[A' * 9000,"
        " traceback='\\x1b[A\\r' * 30_000)))"
    ),
    "an error of the code": "raise ValueError('\\u202e\\x1b[A' * 300_000)",
    "zeros": "flood(bytes(1 << 20), 20)",
    "bytes that are no text": "flood(b'\\xff' * (1 << 20), 20)",
    "marks": "flood(marks(b''), 50)",
    "marks and bytes that are no text": "flood(marks(b'\\xff'), 50)",
    "escapes": "print('\\x1b' * 1_000_000)",
    "movements": "print('\\x1b[A\\r\\x1b[2K' * 100_000)",
    "carriage returns": "for n in range(50_000): sys.stdout.write('\\r%d' % n)",
    "both streams by turns": "for n in range(6000): print(n); print(n, file=sys.stderr)",
    "a picture of many parts": (
        "open('picture.png', 'wb').write(picture(55_000))\n"
        "tell(shown({'image/png': {'blob': 0}}, picture(200_000)))"
    ),
    "files": "for n in range(3000): open(f'{n}' * 30, 'w')",
    "deep JSON": (
        "display({'application/json': '[' * 1_000_000}, raw=True)\n"
        "display({'application/json': '[' * 900 + ']' * 900}, raw=True)"
    ),
}
READ: dict[str, tuple[str, dict[str, Any]]] = {
    "the notebook": ("resources/read", {"uri": "aca://sessions/current/notebook"}),
    "a picture": ("tools/call", {"name": "read_file", "arguments": {"path": "picture.png"}}),
    "its resource": ("resources/read", {"uri": "aca://sessions/current/files/picture.png"}),
    "a listing": ("tools/call", {"name": "list_files", "arguments": {"recursive": True}}),
    "resources": ("resources/list", {}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[MeteredServer]:
    log = tmp_path_factory.mktemp("loop") / "pauses"
    log.touch()
    command = [sys.executable, str(PROGRAM), str(log), "serve"]
    # Coverage would be what is measured.
    measured = {name: text for name, text in os.environ.items() if "COV" not in name}
    environment = {**measured, "ACA_MCP_LOCAL_CHECKPOINTS": "0", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            started = MeteredServer(Server(process), log)
            started.server.shake_hands()
            started.run("1")
            yield started
        finally:
            process.kill()


class MeteredServer:
    """A server in a process of its own, and what stopped its event loop."""

    def __init__(self, server: Server, log: Path) -> None:
        self.server = server
        self._log = log
        self._requests = 0

    def run(self, code: str) -> str:
        """The text of a result."""
        self._requests += 1
        self.server.send(call(self._requests, code))
        return self.server.text()

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._requests += 1
        number = self._requests
        self.server.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return self.server.receive()

    def pauses(self) -> list[float]:
        """In milliseconds, those that were longer than is allowed."""
        self.run("2")  # what came before is done then
        return [
            pause
            for pause in map(float, self._log.read_text(encoding="ascii").split())
            if pause > MOST_MILLISECONDS
        ]


@pytest.mark.parametrize("what", PROGRAMS)
def test_what_a_session_says_does_not_stop_the_server(server: MeteredServer, what: str) -> None:
    before = len(server.pauses())
    server.run(f"{SAY}\n{PROGRAMS[what]}")
    assert server.pauses()[before:] == []


@pytest.mark.parametrize("what", READ)
def test_what_a_session_has_does_not_stop_the_server(server: MeteredServer, what: str) -> None:
    """Not even after all of the above."""
    before = len(server.pauses())
    assert "result" in server.ask(*READ[what])
    assert server.pauses()[before:] == []
