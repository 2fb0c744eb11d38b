"""Uses a server as 60 clients do for some minutes, badly behaved ones too, and checks every answer.

    python benchmarks/soak.py [--minutes 10] [--clients 60]

Each client has a session, knows what its variables and files must be, and does one thing after the
other: counts, computes, writes and reads files, prints floods, crashes, runs out of time, cancels,
drops connections in the midst of a call, holds half requests. An answer is *wrong* if it is not
what Python gives; a session is *lost without a word* if its variables are gone and no result said
so. Afterwards nothing may be left: no process, no mount, no descriptor. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from serving import TLS, compare, free_port, ours, row, serving, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PRINCIPALS = 6
ERA = "2026-07-28"
_HANDLE = re.compile(r"(ses_[\w-]+)")
_LOST = ("The session ended", "The earlier session is gone", "no longer exist", "has ended")
_KEPT = "ariables are as"
"""A crash that cost one execution alone says so."""
_UNDONE = re.compile(r"before the last (\d+) executions")
"""And where it cost more, how many: a busy machine makes no checkpoint after each."""
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
    kept: int = 0
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
        self.count: int | None = None
        """What ``n`` is in the session; None if it is not there."""
        self.unseen = 0
        """Calls that were given up since: ``n`` may be as many more, or the session gone."""
        self.undone = 0
        """Executions that a crash has undone since: ``n`` may be as many less."""

    def _connect(self) -> httpx.AsyncClient:
        url = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=url, headers=self.headers, timeout=120, verify=TLS)

    async def run(self) -> None:
        """Do one thing after the other until the time is up."""
        actions: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (40, self.add_one),
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

    async def add_one(self) -> None:
        text = await self.execute("n = n + 1 if 'n' in dir() else 1\nn")
        self._expect_count(text)

    async def compute(self) -> None:
        a, b = self.random.randrange(10**9), self.random.randrange(10**9)
        text = await self.execute(f"{a} * {b}")
        if str(a * b) not in text and not self._is_excused(text):
            self.tally.fault("wrong", text)

    async def move_file(self) -> None:
        name, content = f"f{self.random.randrange(10)}.txt", str(self.random.random()) * 50
        text = await self.call("upload_file", path=name, content=content)
        if self.handle and "Wrote" not in text and "bytes" not in text and not self._is_busy(text):
            self.tally.fault("wrong", text)
        text = await self.execute(
            f"import os\nopen({name!r}).read() if os.path.exists({name!r}) else 'gone'"
        )
        if content not in text and "gone" not in text and not self._is_excused(text):
            self.tally.fault("wrong", text)

    async def flood(self) -> None:
        text = await self.execute("print('x' * 5_000_000); print('end')")
        if len(text) > 200_000 or ("end" not in text and not self._is_excused(text)):
            self.tally.fault("wrong", text[-300:])

    async def crash(self) -> None:
        text = await self.execute(self.random.choice(_CRASHES), timeout_seconds=2)
        if _KEPT in text:
            self.tally.kept += 1
            self._note_undone(text)
        elif not self._is_excused(text) and "[done, no output]" not in text:
            self.tally.fault("a crash without a word", text)  # what is done has survived

    async def run_out_of_time(self) -> None:
        text = await self.execute("while True: pass", timeout_seconds=1)
        if "Interrupted" not in text and not self._is_excused(text):
            self.tally.fault("wrong", text)

    async def cancel(self) -> None:
        """The request is given up while its code runs; the connection is closed with it."""
        with anyio.move_on_after(0.3 + self.random.random() * 0.3):
            await self.execute("import time; time.sleep(30)")
        self.unseen += 1

    async def drop(self) -> None:
        """The connection goes, the handle stays good."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._add_unseen)
            await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
        await self.http.aclose()
        self.http = self._connect()
        self.unseen += 1

    async def _add_unseen(self) -> None:
        await self.execute("n = n + 1 if 'n' in dir() else 1\nn")

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
            self.count, self.unseen = None, 0

    async def leave(self) -> None:
        """Leave no session behind."""
        self.http = self._connect()
        await self.begin_anew()
        await self.http.aclose()

    def _expect_count(self, text: str) -> None:
        if self._is_busy(text):
            return
        found = re.search(r"^(\d+)$", text, re.MULTILINE)
        if found is None:
            if not self._is_lost(text):
                self.tally.fault("wrong", text)
            return
        told = int(found[1])
        expected = (self.count or 0) + 1
        may_be_new = self.unseen and told <= self.unseen + 1
        if not (expected - self.undone <= told <= expected + self.unseen or may_be_new):
            self.tally.fault(f"lost without a word ({expected} expected)", text)
        self.count, self.unseen, self.undone = told, 0, 0

    async def execute(self, code: str, **more: object) -> str:
        return await self.call("execute_python", code=code, **more)

    def _note_loss(self, text: str) -> None:
        if self._is_lost(text):
            self.tally.lost += 1
            self.count = None
            if "start_session" in text:
                self.handle = ""

    def _note_undone(self, text: str) -> None:
        if (found := _UNDONE.search(text)) is not None and self.count is not None:
            self.undone += int(found[1])

    def _is_lost(self, text: str) -> bool:
        return any(words in text for words in _LOST)

    def _is_busy(self, text: str) -> bool:
        busy = "in use" in text or "as many as one may have" in text or "Retry-After" in text
        self.tally.busy += busy
        return busy

    def _is_excused(self, text: str) -> bool:
        return self._is_lost(text) or self._is_busy(text)

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
        text = text_of(await self.http.post("/mcp", json=message, headers=headers))
        if (found := _HANDLE.search(text)) and found[1] != self.handle:
            self.handle, self.count, self.unseen = found[1], None, 0
        self._note_loss(text)
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
    )
    tally = Tally()
    with serving(command, port, **settings) as pid:
        await warm_up(port)
        await anyio.sleep(3)
        before = state_of(pid)
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
        row("crashes that cost one execution", tally.kept, "")
        row("told to come back, or that the pool is full", tally.busy, "")
        row("wrong, or lost without a word", len(tally.faults), "", "0")
        await anyio.sleep(5)
        after = state_of(pid)
        compare(before, after)
        for kind in ("processes", "descriptors", "mounts"):
            if after[kind] > before[kind]:
                tally.fault("left", f"{after[kind] - before[kind]} {kind}")
        if alive != "alive\n":
            tally.fault("dead", alive)
    return tally


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
