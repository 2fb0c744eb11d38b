"""``aca-mcp doctor`` with an Azure pool: each step, and what it says when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.cli import main
from aca_mcp.cli.azure_doctor import (
    check_endpoint,
    check_metadata,
    check_network,
    explain,
    explain_execution,
    try_azure,
)
from aca_mcp.cli.doctor_checks import Check, State, value_in
from aca_mcp.errors import AuthenticationFailedError, InvalidRequestError, PoolFullError
from aca_mcp.pool import Output, Package, PoolMetadata
from aca_mcp.settings import Settings
from tests.support.emulators import POOL_PATH, emulator_process
from tests.support.executions import executed
from tests.support.loopback_service import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A real emulator's, that wants its token."""
    with emulator_process(ACA_MCP_EMULATOR_TOKEN="good") as address:
        yield address + POOL_PATH


def settings(endpoint: str, token: str = "good", **changes: object) -> Settings:
    return Settings.model_validate(
        {
            "pool_management_endpoint": endpoint,
            "azure_credential": "emulator",
            "emulator_token": token,
            "azure_retry_seconds": 0,
            **changes,
        }
    )


def metadata(runtime: str, *packages: Package) -> PoolMetadata:
    return PoolMetadata("azure", runtime, packages, "/mnt/data", 220, 2**27, None, "hyper-v")


async def test_a_pool_that_works_passes_every_step(endpoint: str) -> None:
    found = await try_azure(settings(endpoint))
    assert [check.name for check in found] == [
        "Endpoint",
        "Token",
        "Metadata",
        "Session",
        "Network",
    ]
    assert [check.state for check in found[:4]] == [State.OK] * 4
    assert found[4].state is State.OK
    assert "code reaches none; this server brings it packages" in found[4].finding
    assert "good" not in "".join(check.finding for check in found)


@pytest.mark.parametrize(
    ("token", "says", "fix"),
    [
        ("bad", "audience", "ACA_MCP_EMULATOR_TOKEN"),
        ("good-without-role", "Session Executor", "role assignment"),
    ],
)
async def test_a_token_that_is_not_accepted_is_explained(
    endpoint: str, token: str, says: str, fix: str
) -> None:
    last = (await try_azure(settings(endpoint, token)))[-1]
    assert (last.name, last.state) == ("Metadata", State.BROKEN)
    assert says in last.finding
    assert fix in last.fix


def test_a_token_of_another_tenant_is_no_matter_of_roles() -> None:
    error = AuthenticationFailedError("The session pool does not accept our token.")
    asked = settings("http://127.0.0.1:1", azure_credential="azure-cli")
    fix = explain(error, "Metadata", asked).fix
    assert "--tenant" in fix
    assert "role" not in fix


async def test_a_credential_that_gives_none_is_explained(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    last = (await try_azure(settings(endpoint, azure_credential="azure-cli")))[-1]
    assert (last.name, last.state) == ("Token", State.BROKEN)
    assert "az login" in last.finding


def service(metadata: object, status: int, execution: object) -> AbstractContextManager[str]:
    """A service that has one answer about itself, and one to all code."""
    answers = {"GET": (200, metadata), "POST": (status, execution), "DELETE": (204, None)}

    def give(method: str, path: str) -> httpx.Response:
        code, body = answers[method]
        return httpx.Response(code, json=body)

    return listening(give)


NODE = {"runtimes": [{"name": "node", "version": "20"}], "preInstalledPackages": []}
REFUSED = {"title": "Not valid.", "status": 400, "errors": {"ShellCommand": ["It is required."]}}
EXITED = {"status": "127", "result": {"stdout": "", "stderr": "sh: await: not found"}}
FULL = {"code": "SessionsCountExceedsLimit", "message": "There are already '5'."}


@pytest.mark.parametrize(
    ("metadata", "status", "execution", "step", "fix"),
    [
        (NODE, 200, {}, "Metadata", "PythonLTS"),
        ({}, 400, REFUSED, "Session", "Shell"),
        ({}, 200, EXITED, "Session", "Shell"),
        ({}, 429, FULL, "Session", "cooldown"),
    ],
    ids=["node", "a shell that refuses", "a shell that runs it", "full"],
)
async def test_a_pool_of_another_kind_is_explained(
    metadata: object, status: int, execution: object, step: str, fix: str
) -> None:
    with service(metadata, status, execution) as address:
        last = (await try_azure(settings(address)))[-1]
    assert (last.name, last.state) == (step, State.BROKEN)
    assert fix in last.fix


async def test_each_of_several_pools_is_tried_whatever_is_wrong_with_another(
    endpoint: str,
) -> None:
    with service(NODE, 200, {}) as node:
        found = await try_azure(settings(f"{endpoint},http://127.0.0.1:1/x,{node}"))
    outcomes = {(check.name.split(" (")[0], check.state) for check in found}
    assert {
        ("Session of pool 1", State.OK),
        ("Metadata of pool 2", State.BROKEN),
        ("Metadata of pool 3", State.BROKEN),
    } <= outcomes
    assert not any(name.startswith("Session of pool 2") for name, _ in outcomes)
    wrong = [check for check in found if check.state is State.BROKEN]
    assert "cannot be reached" in wrong[0].finding
    assert "PythonLTS" in wrong[1].fix


async def test_a_pool_that_does_not_answer_is_not_waited_for() -> None:
    last = (await try_azure(settings("http://127.0.0.1:9"), within_seconds=0))[-1]
    assert "no answer within 0 seconds" in last.finding


async def test_an_endpoint_that_is_none_is_explained() -> None:
    (only,) = await try_azure(settings("https://westus2.dynamicsessions.io/x"))
    assert (only.name, only.state) == ("Endpoint", State.BROKEN)
    assert "/sessionPools/POOL" in only.finding
    last = (await try_azure(settings("http://127.0.0.1:9/x")))[-1]
    assert "cannot be reached" in last.finding


def test_the_command_uses_it(
    endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", endpoint)
    monkeypatch.setenv("ACA_MCP_AZURE_CREDENTIAL", "emulator")
    monkeypatch.setenv("ACA_MCP_EMULATOR_TOKEN", "good")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "azure, because a pool management endpoint is set" in shown
    assert "1+1 = 2" in shown
    assert shown.endswith("Ready.\n")


def test_the_kinds_of_endpoints_are_told_apart() -> None:
    said = [
        check_endpoint(settings(endpoint)).finding
        for endpoint in (
            f"https://westus2.dynamicsessions.io{POOL_PATH}",
            "https://pool.env.westus2.azurecontainerapps.io",
            "http://127.0.0.1:1",
        )
    ]
    assert [text.split(":")[0].split(";")[0] for text in said] == [
        "a built-in pool",
        "a custom-container pool",
        "not Azure's own",
    ]


def test_a_pool_of_another_language_is_explained() -> None:
    check = check_metadata(metadata("Node 20.2.4", Package("npm", "1")))
    assert check.state is State.BROKEN
    assert "PythonLTS" in check.fix
    assert check_metadata(metadata("Python")).state is State.NOTE
    assert check_metadata(metadata("Python 3.12", Package("a", "1"))).state is State.OK


def test_other_refusals_have_their_fix() -> None:
    asked = settings("http://127.0.0.1:1")
    assert "NodeLTS" in explain(InvalidRequestError("no"), "Session", asked).fix
    assert "cooldown" in explain(PoolFullError("full"), "Session", asked).fix
    assert explain(AuthenticationFailedError("no"), "Token", asked).fix == ""
    assert "plain" in explain_execution(Check("Session", State.BROKEN, "no")).fix
    done = executed(Output("result", {"text/plain": "True"}))
    answer = value_in(metadata("Python"), done)
    assert check_network(answer, asked, installs=False).state is State.OK


@pytest.mark.parametrize(
    ("endpoint", "fix"),
    [
        ("http://127.0.0.1:8080", "ACA_MCP_LOCAL_NETWORK=host"),
        ("https://westeurope.dynamicsessions.io/subscriptions/s", "EgressEnabled"),
    ],
)
def test_a_network_that_is_wanted_is_had_in_the_way_of_the_pool(endpoint: str, fix: str) -> None:
    check = check_network("False", settings(endpoint), installs=False)
    assert check.state is State.NOTE
    assert fix in check.fix
