"""Sessions in which our module cannot be, or whose values are cut, become plain by themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.local.pool import open_local_pool
from aca_mcp.pool import ExecutionStatus
from tests.azure.plain_python import plain_python
from tests.azure.service import run
from tests.local.pools import configuration, new_identifier
from tests.support.emulators import POOL_PATH, InProcess, azure_pool_at

if TYPE_CHECKING:
    from aca_mcp.pool import Execution


def texts_of(execution: Execution) -> list[str]:
    return [str(output.data["text/plain"]) for output in execution.outputs]


@pytest.mark.parametrize("gives_values", [True, False])
async def test_a_python_without_ipython_runs_code_as_it_is_and_each_code_once(
    gives_values: bool,
) -> None:
    with plain_python(gives_values=gives_values) as container:
        transport = httpx.MockTransport(container)
        async with azure_pool_at(f"http://127.0.0.1{POOL_PATH}", transport=transport) as pool:
            first = await run(pool, "runs = globals().get('runs', 0) + 1\nprint('once')\nruns")
            second = await run(pool, "print(runs)\nruns + 6")
            third = await run(pool, "1 / 0")
            fourth = await run(pool, "import IPython")
    assert first.status is ExecutionStatus.SUCCEEDED
    assert first.stdout.text == "once\n"
    remark, *values = texts_of(first)
    assert "is not IPython" in remark
    assert "sent to this session as it is" in remark
    assert values == ["1"] * gives_values
    assert (second.stdout.text, texts_of(second)) == ("1\n", ["7"] * gives_values)
    assert [each.error.name for each in (third, fourth) if each.error is not None] == [
        "ZeroDivisionError",
        "ModuleNotFoundError",
    ]


@pytest.mark.parametrize("ending", ["", "...", "[truncated]"])
async def test_values_that_the_service_cuts_cost_what_was_displayed_and_nothing_else(
    ending: str,
) -> None:
    class Cutting(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            body: Any = json.loads(await response.aread() or b"{}")
            result: dict[str, Any] = body.get("result") or {}
            if len(str(result.get("executionResult", ""))) > 2048:
                result["executionResult"] = str(result["executionResult"])[:2048] + ending
            return httpx.Response(response.status_code, json=body, headers={})

    async with (
        open_local_pool(configuration()) as local,
        open_emulator(local) as app,
        azure_pool_at(f"http://127.0.0.1{POOL_PATH}", transport=Cutting(app)) as pool,
    ):
        identifier = new_identifier()
        short = await pool.execute(identifier, "kept = 1; kept", timeout_seconds=60)
        assert texts_of(short) == ["1"]
        code = "import random\nprint('out')\ndisplay(random.randbytes(9000).hex())\nkept += 1"
        long = await pool.execute(identifier, code, timeout_seconds=60)
        assert long.stdout.text == "out\n"
        (remark,) = texts_of(long)
        assert "sent to this session as it is" in remark
        after = await pool.execute(identifier, "kept", timeout_seconds=60)
        assert texts_of(after) == ["2"]
        assert after.lost_before is None
        await pool.stop_session(identifier)
