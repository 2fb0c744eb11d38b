"""Uses a server as 60 clients do for some minutes, badly behaved ones too, and checks every answer.

    python benchmarks/soak.py [--minutes 10] [--clients 60]

Each client has a session, knows what its variables and files must be, and does one thing after the
other: counts, computes, writes and reads files, prints floods, crashes, runs out of time, cancels,
drops connections in the midst of a call, holds half requests. An answer is *wrong* if it is not
what Python gives; a session is *lost without a word* if its variables are other than what results
said, executions that a crash has undone included. Afterwards nothing may be left: no process,
mount, descriptor or control group. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from measuring import control_groups, descendants
from serving import TLS, compare, free_port, ours, row, serving, state_of
from soak_model import TOLD, Model, is_gone, was_ended, was_not_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PRINCIPALS = 6
ERA = "2026-07-28"
_HANDLE = re.compile(r"(ses_[\w-]+)")
_REMEMBER = f"done = [*(done if 'done' in dir() else []), %d][-{TOLD}:]\n"
"""Before all code: the session's own account of what has run."""
_BROKE = "Retry-After"
"""Nothing is known of it."""
_CRASHES = (
    "import os; os.abort()",
    "import os; os._exit(3)",
    "import ctypes; ctypes.string_at(0)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
)


@dataclass
class Tally:
    """What was seen, of all clients."""

    calls: Counter[str] = field(default_factory=Counter[str])
    lost: int = 0
    undone: int = 0
    busy: int = 0
    faults: list[str] = field(default_factory=list[str])

    def fault(self, kind: str, told: str) -> None:
        self.faults.append(f"{kind}: {told[:300]!r}")


class SoakClient:
    """One client, with what it knows of its session."""

    def __init__(self, number: int, port: int, tally: Tally, end: float) -> None:
        self.random = random.Random(number)
        self.port = port
        self.tally = tally
        self.end = end
        self.headers = {
            "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {token(number % PRINCIPALS)}",
            "Mcp-Protocol-Version": ERA,
        }
        self.http = self._connect()
        self.handle = ""
        self.model = Model()
        self.numbers = itertools.count(1)

    def _connect(self) -> httpx.AsyncClient:
        url = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=url, headers=self.headers, timeout=120, verify=TLS)

    async def run(self) -> None:
        """Do one thing after the other until the time is up."""
        actions: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (40, self.remember),
            (20, self.compute),
            (10, self.move_file),
            (6, self.flood),
            (5, self.crash),
            (4, self.run_out_of_time),
            (5, self.cancel),
            (5, self.drop),
            (3, self.hold_half_requests),
            (2, self.begin_anew),
        ]
        weights, doing = zip(*actions, strict=True)
        while time.monotonic() < self.end:
            (act,) = self.random.choices(doing, weights)
            await act()
            self.tally.calls[act.__name__] += 1
            await anyio.sleep(self.random.random() * 0.5)
        await self.http.aclose()

    async def remember(self) -> None:
        text = await self.execute("print(*done)")
        if was_not_run(text) or not self.handle:
            return
        found = re.search(r"^(\d+(?: \d+)*)$", text, re.MULTILINE)
        expected = self.model.expected
        if found is None or not self.model.told(tuple(map(int, found[1].split()))):
            self.tally.fault(f"wrong, or lost without a word ({expected} expected)", text)

    async def compute(self) -> None:
        a, b = self.random.randrange(10**9), self.random.randrange(10**9)
        self._see(str(a * b), await self.execute(f"{a} * {b}"))

    async def move_file(self) -> None:
        name, content = f"f{self.random.randrange(10)}.txt", str(self.random.random()) * 50
        text = await self.call("upload_file", path=name, content=content)
        if is_gone(text) or not self.handle:
            self.model.begin_anew()
        elif not was_not_run(text):
            self.model.files[name] = content
        name = self.random.choice([*self.model.files, name])
        text = await self.execute(
            f"import os\nopen({name!r}).read() if os.path.exists({name!r}) else 'gone'"
        )
        self._see(self.model.files.get(name, "gone"), text)

    async def flood(self) -> None:
        text = await self.execute("print('x' * 5_000_000); print('end')")
        self._see("end", text[-1000:])
        if len(text) > 200_000:
            self.tally.fault("too long", text[-300:])

    async def crash(self) -> None:
        text = await self.execute(self.random.choice(_CRASHES), timeout_seconds=2)
        told = was_ended(text) or was_not_run(text) or "Interrupted" in text
        if not told and self.handle:
            self.tally.fault("a crash without a word", text)

    async def run_out_of_time(self) -> None:
        text = await self.execute("while True: pass", timeout_seconds=1)
        if not was_ended(text):  # as where it had no processor in which to be interrupted
            self._see("Interrupted", text)

    async def cancel(self) -> None:
        """The request is given up while its code runs; the connection is closed with it."""
        await self._give_up("import time; time.sleep(30)", 0.3 + self.random.random() * 0.3)

    async def drop(self) -> None:
        """The connection goes, the handle stays good."""
        if not self.handle:  # a session of which nobody was told would stay until it is idle
            await self.remember()
        await self._give_up("", 0.05)
        await self.http.aclose()
        self.http = self._connect()

    async def _give_up(self, code: str, seconds: float) -> None:
        number = next(self.numbers)
        with anyio.move_on_after(seconds):
            await self.call("execute_python", code=_REMEMBER % number + code)
        self.model.unseen(number)

    async def hold_half_requests(self) -> None:
        streams = [await anyio.connect_tcp("127.0.0.1", self.port) for _ in range(5)]
        for stream in streams:
            await stream.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        await anyio.sleep(0.2)
        for stream in streams:
            await stream.aclose()

    async def begin_anew(self) -> None:
        if self.handle:
            await self.call("restart_session")
            self.model.begin_anew()

    async def leave(self) -> None:
        """Leave no session behind."""
        self.http = self._connect()
        await self.begin_anew()
        await self.http.aclose()
        self.tally.lost += self.model.lost
        self.tally.undone += self.model.undone

    def _see(self, wanted: str, text: str) -> None:
        """Check an answer of code that runs to its end, or was not run."""
        if wanted not in text and not was_not_run(text) and self.handle:
            self.tally.fault(f"wrong ({wanted[:20]} expected)", text)

    async def execute(self, code: str, **more: object) -> str:
        number = next(self.numbers)
        text = await self.call("execute_python", code=_REMEMBER % number + code, **more)
        if text is _BROKE:
            self.model.unseen(number)
        else:
            self.model.executed(text, number)
        return text

    async def call(self, tool: str, **arguments: object) -> str:
        if self.handle:
            arguments["session"] = self.handle
        meta = {
            "io.modelcontextprotocol/protocolVersion": ERA,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "soak", "version": "1"},
        }
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {"Mcp-Method": "tools/call", "Mcp-Name": tool}
        try:
            text = text_of(await self.http.post("/mcp", json=message, headers=headers))
        except httpx.TransportError as error:
            self.tally.fault("a connection broke", repr(error))
            return _BROKE
        if (found := _HANDLE.search(text)) and found[1] != self.handle:
            self.handle = found[1]
            self.model.begin_anew()
        if "start_session" in text and is_gone(text):
            self.handle = ""
        self.tally.busy += was_not_run(text)
        return text


def text_of(answer: httpx.Response) -> str:
    """The text of a result, or what the server said instead."""
    if answer.status_code != 200:
        return answer.text
    body: dict[str, Any]
    if "event-stream" in answer.headers["content-type"]:
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        body = httpx.Response(200, text=lines[-1]).json()
    else:
        body = answer.json()
    content = body.get("result", {}).get("content", [])
    return "\n".join(block.get("text", "") for block in content) or str(body)


def token(number: int) -> str:
    return f"soak-client-number-{number}-with-a-long-token"


async def soak(minutes: float, clients: int) -> Tally:
    port = free_port()
    command, settings = ours(
        port,
        auth_tokens=",".join(f"p{number}={token(number)}" for number in range(PRINCIPALS)),
        local_max_concurrent_sessions=2 * clients,
        max_sessions_per_principal=clients,
        session_idle_seconds=3600,
        max_calls_per_minute=100_000,
        request_seconds=60,  # the clients are one process, which may have to wait for a processor
    )
    tally = Tally()
    with serving(command, port, **settings) as pid:
        await warm_up(port)
        await anyio.sleep(3)
        before = left_by(pid)
        end = time.monotonic() + minutes * 60
        everybody = [SoakClient(number, port, tally, end) for number in range(clients)]
        async with anyio.create_task_group() as tasks:
            for client in everybody:
                tasks.start_soon(client.run)
        for client in everybody:
            await client.leave()
        alive = await ask_whether_alive(port)
        row("answers checked", sum(tally.calls.values()), "")
        for name, times in sorted(tally.calls.items()):
            row(f"  {name}", times, "")
        row("sessions lost, and said so", tally.lost, "")
        row("executions that crashes have undone, and said so", tally.undone, "")
        row("told to come back, or that the pool is full", tally.busy, "")
        row("wrong, or lost without a word", len(tally.faults), "", "0")
        await anyio.sleep(5)
        after = left_by(pid)
        compare(before, after)
        for kind in ("processes", "descriptors", "mounts", "control groups"):
            if after[kind] > before[kind]:
                tally.fault("left", f"{after[kind] - before[kind]} {kind}")
        if alive != "alive\n":
            tally.fault("dead", alive)
        below = descendants(pid)
    if remain := len(still_there(below)):
        tally.fault("left after the end", f"{remain} processes")
    if groups := control_groups(pid):
        tally.fault("left after the end", f"{len(groups)} control groups")
    return tally


def still_there(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def left_by(pid: int) -> dict[str, int]:
    """What a server has, control groups included."""
    return {**state_of(pid), "control groups": len(control_groups(pid))}


async def ask_whether_alive(port: int) -> str:
    async with httpx.AsyncClient(verify=TLS) as http:
        return (await http.get(f"http://127.0.0.1:{port}/healthz")).text


async def warm_up(port: int) -> None:
    client = SoakClient(0, port, Tally(), 0)
    await client.execute("1")
    await client.call("restart_session")
    await client.http.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=60)
    chosen = parser.parse_args()
    tally = anyio.run(soak, chosen.minutes, chosen.clients)
    for fault in tally.faults[:20]:
        print(fault)
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
