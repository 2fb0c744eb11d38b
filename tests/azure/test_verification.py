"""What a pool answers otherwise than the service is found, whatever it is; and nothing else is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from aca_mcp.azure.configuration import AzurePoolConfiguration
from aca_mcp.azure.credentials import credential_factory
from aca_mcp.azure.probes import PROBES
from aca_mcp.azure.verification import Finding, render, verify
from aca_mcp.cli import main
from aca_mcp.emulator.catalogue import CATALOGUE
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration
from tests.support.emulators import POOL_PATH, InProcess, emulator_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aca_mcp.local.pool import LocalSessionPool

    Plant = Callable[[httpx.Response], httpx.Response]


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[LocalSessionPool]:
    """What is behind the emulators of this module."""
    async with open_local_pool(configuration(max_timeout_seconds=220)) as pool:
        yield pool


class Altered(InProcess):
    """An emulator some of whose answers are otherwise."""

    def __init__(self, app: Any, change: Callable[[httpx.Request, int, Any], Any]) -> None:
        super().__init__(app)
        self._change = change

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        content = await response.aread()
        try:
            body = json.loads(content)
        except ValueError:
            return httpx.Response(response.status_code, headers=response.headers, content=content)
        status, changed = self._change(request, response.status_code, body)
        headers = {
            name: value
            for name, value in response.headers.items()
            if name.startswith("x-ms-") or name == "operation-location"
        }
        return httpx.Response(status, headers=headers, json=changed)


def as_it_is(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    return status, body


def older_status_words(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    if body.get("status") == "Succeeded":
        body["status"] = "Success"
    return status, body


def capital_types(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    for each in body.get("value", []):
        each["type"] = each["type"].title()
    return status, body


def with_next_link(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    return status, {**body, "nextLink": None} if "value" in body else body


def another_code(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    if "code" in body.get("error", "") and body["error"]["code"] == "FileNotFound":
        body["error"]["code"] = "NotFound"
    return status, body


def server_errors(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    return (501 if "SessionRequestNotSupported" in json.dumps(body) else status), body


def other_words(request: httpx.Request, status: int, body: Any) -> tuple[int, Any]:
    return status, json.loads(json.dumps(body).replace("Kernel restarted", "The kernel died."))


async def found(
    local: LocalSessionPool, change: Callable[[httpx.Request, int, Any], Any]
) -> list[Finding]:
    async with open_emulator(local) as app:
        pool = AzurePoolConfiguration(
            f"http://127.0.0.1{POOL_PATH}", make_credential=credential_factory("emulator")
        )
        return await verify(pool, transport=Altered(app, change))


@pytest.mark.parametrize(
    ("change", "different"),
    [
        (as_it_is, set[str]()),
        (capital_types, {"file-types"}),
        (with_next_link, {"last-page"}),
        (another_code, {"missing-file", "missing-directory"}),
        (server_errors, {"unknown-route"}),
        (other_words, {"interpreter-died"}),
        (
            older_status_words,
            {"values", "not-a-number", "output-length", "nulls", "case", "directory"},
        ),
    ],
)
async def test_each_planted_difference_is_found_and_no_other(
    local: LocalSessionPool,
    change: Callable[[httpx.Request, int, Any], Any],
    different: set[str],
) -> None:
    findings = await found(local, change)
    assert [each.name for each in findings] == list(PROBES)
    assert {each.name for each in findings if each.is_different} == different, findings
    table = render(findings)
    assert table.count("| different |") == len(different)
    assert f"{len(PROBES)} behaviours looked at, {len(different)} different." in table


class Replayed(httpx.AsyncBaseTransport):
    """The answers of an earlier run, in their order, one of them otherwise."""

    def __init__(self, answers: list[httpx.Response], at: int, plant: Plant) -> None:
        self._answers = answers
        self._at = at
        self._plant = plant
        self._asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        given = self._answers[self._asked]
        self._asked += 1
        other = self._plant(given) if self._asked - 1 == self._at else given
        return httpx.Response(other.status_code, headers=other.headers, content=other.content)


def another_status(given: httpx.Response) -> httpx.Response:
    return httpx.Response(418, headers=given.headers, content=given.content)


def another_body(given: httpx.Response) -> httpx.Response:
    def other(value: Any) -> Any:
        match value:
            case dict():
                named = cast("dict[str, Any]", value)
                return {name: other(each) for name, each in named.items()}
            case list():
                return [other(each) for each in cast("list[Any]", value)]
            case bool() | None:
                return "other"
            case int() | float():
                return value + 1
            case _:
                return f"other {value}"

    body = other(given.json()) if given.content[:1] in (b"{", b"[") else "other"
    headers = {name: f"other {value}" for name, value in given.headers.items() if "x-ms" in name}
    return httpx.Response(given.status_code, headers=headers, json=body)


@pytest.mark.parametrize("plant", [another_status, another_body])
async def test_whatever_answer_is_otherwise_its_probe_finds_it(
    local: LocalSessionPool, plant: Plant
) -> None:
    recorded: list[httpx.Response] = []

    class Recording(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            given = await super().handle_async_request(request)
            content = await given.aread()
            headers = {k: v for k, v in given.headers.items() if "length" not in k}
            recorded.append(httpx.Response(given.status_code, headers=headers, content=content))
            return recorded[-1]

    pool = AzurePoolConfiguration(
        f"http://127.0.0.1{POOL_PATH}", make_credential=credential_factory("emulator")
    )
    async with open_emulator(local) as app:
        assert not any(each.is_different for each in await verify(pool, transport=Recording(app)))
    found: set[str] = set()
    for at in range(len(recorded)):
        findings = await verify(pool, transport=Replayed(recorded, at, plant))
        different = {each.name for each in findings if each.is_different}
        # One answer is one probe's; some only prepare, and what is in them tells nothing.
        assert len(different) <= 1, (at, different)
        found |= different
    # Two look at a status alone, and one at what is not there: that is planted above.
    bodiless = set[str]() if plant is another_status else {"token", "session", "last-page"}
    assert set(PROBES) - found <= bodiless


def test_a_probe_is_about_something_that_the_emulator_says_it_does() -> None:
    named = {each.name for each in CATALOGUE}
    assert set(PROBES) - {"not-a-number"} <= named


def test_a_table_has_no_more_cells_than_it_has() -> None:
    table = render([Finding("a", "b", "c | d\n\x1b[31m\\")])
    assert table.splitlines()[2] == "| a | b | c \\| d  [31m\\\\ | different |"


async def test_a_pool_that_cannot_be_reached_is_said() -> None:
    pool = AzurePoolConfiguration(
        "http://127.0.0.1:1/pool", make_credential=credential_factory("emulator")
    )
    with pytest.raises(PoolUnavailableError, match=r"No connection to 127\.0\.0\.1"):
        await verify(pool)


def test_the_emulator_as_it_is_shipped_answers_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.md"
    with emulator_process() as address:
        monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", f"{address}{POOL_PATH}")
        monkeypatch.setenv("ACA_MCP_AZURE_CREDENTIAL", "emulator")
        assert main(["azure", "verify", "--report", str(report)]) == 0
    assert "0 different" in capsys.readouterr().out
    assert "| different |" not in report.read_text("utf-8")


def test_the_command_needs_an_azure_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["azure", "verify"]) == 2
    assert "ACA_MCP_POOL_MANAGEMENT_ENDPOINT" in capsys.readouterr().err
    monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", "http://127.0.0.1:1/pool")
    monkeypatch.setenv("ACA_MCP_AZURE_CREDENTIAL", "emulator")
    assert main(["azure", "verify", "--report", str(tmp_path / "report.md")]) == 1
    assert "cannot be reached" in capsys.readouterr().err
