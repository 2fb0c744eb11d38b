"""A record has the shape of what was said, and nothing of what was in it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import httpx

from aca_mcp.emulator.emulator import EmulatorOptions, open_emulator
from aca_mcp.emulator.recording import shape_of
from tests.emulator.caller import Caller

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

SECRET = "secret-7f3a"


async def test_an_exchange_is_recorded_without_what_is_in_it(local: LocalSessionPool) -> None:
    file = io.StringIO()
    async with (
        open_emulator(local, EmulatorOptions(record=file)) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"http://127.0.0.1/subscriptions/{SECRET}/",
            headers={"Authorization": f"Bearer {SECRET}", f"X-{SECRET}": SECRET},
        ) as http,
    ):
        call = Caller(http)
        call.identifier = f"{SECRET}-identifier"
        await call.run(f"print('{SECRET}')\n'{SECRET}'", timeoutInSeconds=9)
        await call("POST", "files", files={"file": (f"{SECRET}.txt", SECRET.encode())})
        await call("GET", f"files/{SECRET}.txt/content", params={"path": SECRET})
        await call("GET", f"{SECRET}/no-such", params={SECRET: SECRET})
        await call("POST", "executions", json={"code": "1", SECRET: {SECRET: SECRET}})
        await call("DELETE", "session")
    text = file.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 6
    first = lines[0]
    assert first["request"]["operation"] == "EXECUTE"
    assert first["request"]["api-version"] == "2025-10-02-preview"
    assert first["request"]["body"]["timeoutInSeconds"] == 9
    assert first["request"]["body"]["code"].startswith("text of ")
    assert first["response"]["status"] == 200
    assert first["response"]["body"]["status"] == "Succeeded"
    assert "authorization" in first["request"]["headers"]
    assert lines[3]["request"]["operation"] == "unknown"
    values = json.dumps([lines[at] for at in (0, 1, 2, 5)])
    assert SECRET not in values.replace(f"x-{SECRET}", "")


def test_shapes_are_bounded() -> None:
    deep: object = 1
    for _ in range(100):
        deep = {"a": deep}
    assert len(json.dumps(shape_of(deep))) < 200
    assert len(json.dumps(shape_of({f"n{number}": 1 for number in range(1000)}))) < 2000
    assert shape_of({"not a name!": 1}) == {"...": "1 more"}
    assert shape_of([1, 2]) == {"list of": 2, "first": ["number"]}
    assert shape_of({"status": "two words"}) == {"status": "text of 9"}
