"""Limits are the same wherever they are told, and those that hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from aca_mcp.server.instructions import duration
from tests.interaction.conftest import in_one_era
from tests.wasm.pools import WASM

if TYPE_CHECKING:
    from tests.interaction.conftest import Era, Serve

CHANGED = {
    "execution_timeout_seconds": 7.0,
    "local_max_timeout_seconds": 11.0,
    "local_memory_mib": 640,
    "local_disk_mib": 48,
    "local_max_processes": 40,
    "local_max_threads": 80,
    "local_max_output_kib": 64,
    "local_max_file_mib": 3,
}


async def test_what_is_told_is_what_was_set(serve: Serve, era: Era) -> None:
    async with serve(
        **{f"ACA_MCP_{name.upper()}": value for name, value in CHANGED.items()}
    ) as call:
        (content,) = (await call.client.read_resource("aca://sessions/current")).contents
        limits = json.loads(getattr(content, "text"))["limits"]  # noqa: B009 -- of either type
        told = call.client.instructions or ""
        assert limits == {
            "timeout_seconds": 7.0,
            "max_timeout_seconds": 11.0,
            "idle_seconds": limits["idle_seconds"],
            "memory_bytes": 640 * 2**20,
            "disk_bytes": 48 * 2**20,
            **({} if WASM else {"processes": 40, "threads": 80}),  # there it has neither
            "output_bytes": 64 * 1024,
            "max_file_bytes": 3 * 2**20,
        }
        if era == "legacy":  # later clients ask for them, or do without
            assert "interrupted after 7 s" in told
            assert duration(limits["idle_seconds"]) in told
        late = await call.refusal("execute_python", code="1", timeout_seconds=12)
        assert "at most 11 seconds (ACA_MCP_LOCAL_MAX_TIMEOUT_SECONDS)" in late
        tools = (await call.client.list_tools()).tools
        (execute,) = [tool for tool in tools if tool.name == "execute_python"]
        assert execute.input_schema["properties"]["timeout_seconds"]["maximum"] == 11
        if WASM:  # where a file meets its own bound first
            return
        full = await call.refusal("execute_python", code="open('x', 'wb').write(bytes(50 << 20))")
        assert "ACA_MCP_LOCAL_DISK_MIB" in full
        assert "48 MiB" in full


@in_one_era
async def test_a_session_stays_as_long_as_was_told_whatever_its_pools_cooldown(
    serve: Serve,
) -> None:
    async with serve(ACA_MCP_LOCAL_COOLDOWN_SECONDS=1) as call:
        await call("execute_python", code="x = 1")
        with anyio.fail_after(30):
            while True:
                (content,) = (await call.client.read_resource("aca://sessions/current")).contents
                status = json.loads(getattr(content, "text"))  # noqa: B009 -- of either type
                assert status["status"] == "ready"
                last_used = datetime.fromisoformat(status["last_used"])
                expires = datetime.fromisoformat(status["expires"])
                lasts = timedelta(seconds=status["limits"]["idle_seconds"])
                assert expires - last_used == lasts
                if datetime.now(UTC) - last_used > timedelta(seconds=3):
                    break
                await anyio.sleep(0.1)
        assert await call("execute_python", code="x") == "1"


@in_one_era
async def test_a_model_that_has_all_sessions_is_told_so_by_start_session_and_can_give_one_back(
    serve: Serve,
) -> None:
    async with serve(ACA_MCP_LOCAL_MAX_CONCURRENT_SESSIONS=2) as call:
        await call("execute_python", code="x = 1")
        first = await call("start_session")
        refused = await call.refusal("start_session")
        assert "All 2 sessions of the local pool are in use" in refused
        assert "restart_session empties a session" in refused
        await call("restart_session", session=first)
        second = await call("start_session")
        assert await call("execute_python", code="2 * 3", session=second) == "6"
        assert await call("execute_python", code="x") == "1"
