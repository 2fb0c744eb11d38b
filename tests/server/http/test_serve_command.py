"""``aca-mcp serve`` over HTTP as an operator runs it: who may call, what is measured and logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.server.http.serving import server_process
from tests.support.calling import Caller
from tests.support.command_line import aca_mcp

if TYPE_CHECKING:
    from mcp_types import CallToolResult

ALICE, BOB = "alice-token-0123456789", "bob-token-0123456789abc"
CANARY = "canary_in_the_code"


async def call_as(token: str, url: str, **arguments: object) -> CallToolResult:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode="2026-07-28") as client:
            return await Caller(client).result("execute_python", **arguments)


def test_a_server_for_a_team_says_who_called_and_what_it_took() -> None:
    log: list[str] = []
    tokens = f"alice={ALICE},bob={BOB}"
    with server_process(
        log, ACA_MCP_AUTH_TOKENS=tokens, ACA_MCP_AUDIT_LOG="true", ACA_MCP_METRICS="true"
    ) as (url, _):

        async def use() -> None:
            with anyio.fail_after(40):
                result = await call_as(ALICE, url, code=f"{CANARY} = 1")
                assert not result.is_error
                refused = await call_as(BOB, url, code="1", session="ses_forged")
                assert refused.is_error
                failed = await call_as(ALICE, url, code="1/0")
                assert failed.is_error

        anyio.run(use)
        assert httpx.post(f"{url}/mcp", json={}).status_code == 401
        assert httpx.get(f"{url}/healthz").text == "alive\n"
        assert httpx.get(f"{url}/readyz", timeout=30).text == "ready\n"
        assert httpx.get(f"{url}/metrics").status_code == 401
        metrics = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {ALICE}"})
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'aca_mcp_executions_total{aca_mcp_execution_status="Succeeded"' in metrics.text
    assert CANARY not in metrics.text
    lines = [json.loads(line) for line in log[0].splitlines() if line.startswith("{")]
    assert [(line["principal"], line["outcome"]) for line in lines] == [
        ("token:alice", "ok"),
        ("token:bob", "invalid_request"),
        ("token:alice", "failed"),
    ]
    assert {line["tool"] for line in lines} == {"execute_python"}
    for secret in (CANARY, ALICE, BOB, "ses_"):
        assert secret not in log[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--transport", "http", "--host", "0.0.0.0"], "ACA_MCP_AUTH_TOKENS"),
        (["--transport", "http", "--work-dir", "."], "--work-dir gives"),
        (["--transport", "stdio,http"], "--transport must be"),
        (["--http-path", "mcp"], "--http-path must be"),
        (["--port", "65536"], "--port"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(arguments: list[str], said: str) -> None:
    done = aca_mcp("serve", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_must_be_long() -> None:
    done = aca_mcp("serve", "--transport", "http", ACA_MCP_SECRET="short")
    assert done.returncode == 2
    assert "at least 32 characters" in done.stderr
