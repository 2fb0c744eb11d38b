"""What a pool answers otherwise than the service is found, whatever it is; and nothing else is."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import anyio
import httpx
import pytest

from aca_mcp.azure.configuration import AzurePoolConfiguration, Pacing
from aca_mcp.azure.credentials import credential_factory
from aca_mcp.azure.verification import NOT_ASKED, PROBES, Finding, render, verify
from aca_mcp.cli import main
from aca_mcp.emulator.behaviour_catalogue import CATALOGUE
from aca_mcp.emulator.emulator import open_emulator
from aca_mcp.emulator.options import EmulatorOptions
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration
from tests.support.emulators import POOL_PATH, InProcess, emulator_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aca_mcp.local.pool import LocalSessionPool
    from aca_mcp.settings import ApiVersion

    Plant = Callable[[httpx.Response], httpx.Response]
    Answers = Sequence[tuple[str, httpx.Response]]
    Recorded = dict[tuple[str, str], tuple[list[Finding], Answers]]


pytestmark = pytest.mark.timeout(180)

POOL = f"http://127.0.0.1{POOL_PATH}"
VERSIONS: tuple[ApiVersion, ...] = (
    "2024-10-02-preview",
    "2025-02-02-preview",
    "2025-10-02-preview",
)
KINDS = [(version, kind) for version in VERSIONS for kind in ("python", "shell")]
PYTHON_ALONE = {
    *("routes", "longest-timeout", "python-execute", "values", "figures", "several-figures"),
    *("displayed-text", "exception", "exception-error", "asynchronous", "directory", "timeout"),
    *("aborted", "interpreter-died"),
}
SINCE_2025 = {"session", "stop-session"}


def asked_of(version: str, kind: str) -> set[str]:
    """The behaviours that a pool is asked about."""
    left_out = PYTHON_ALONE if kind == "shell" else {"shell"}
    return set(PROBES) - left_out - (SINCE_2025 if version < "2025" else set())


def pool_of(version: ApiVersion, **options: Any) -> AzurePoolConfiguration:
    return AzurePoolConfiguration(
        POOL,
        make_credential=credential_factory("emulator"),
        api_version=version,
        **options,
    )


def question_of(request: httpx.Request) -> str:
    """A request without what differs from run to run."""
    path = re.sub(r"(?<=/executions/).*", "...", request.url.path)
    query = sorted(item for item in request.url.params.multi_items() if item[0] != "identifier")
    named = len(request.url.params.get("identifier", "")) > 8
    content = b"" if b"form-data" in request.content else request.content
    return repr((request.method, path, query, named, content, "authorization" in request.headers))


class Recording(InProcess):
    """An emulator whose answers are kept."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.answers: list[tuple[str, httpx.Response]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        given = await super().handle_async_request(request)
        content = await given.aread()
        headers = {k: v for k, v in given.headers.items() if "length" not in k}
        answer = httpx.Response(given.status_code, headers=headers, content=content)
        await request.aread()
        self.answers.append((question_of(request), answer))
        return answer


class Replayed(httpx.AsyncBaseTransport):
    """The answers of an earlier run, one of them otherwise."""

    def __init__(self, answers: Answers, at: int, plant: Plant) -> None:
        self._answers = answers
        self._plant = plant
        self._changed = at
        self._left: dict[str, deque[int]] = {}
        for number, (question, _) in enumerate(answers):
            self._left.setdefault(question, deque()).append(number)
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked += 1
        left = self._left[question_of(request)]
        at = left.popleft() if len(left) > 1 else left[0]
        _, given = self._answers[at]
        other = self._plant(given) if at == self._changed else given
        return httpx.Response(other.status_code, headers=other.headers, content=other.content)


@pytest.fixture(scope="module")
async def recorded() -> Recorded:
    """What emulators of every kind answer in every version of the API, and what was found."""
    found: Recorded = {}

    async def verified(local: LocalSessionPool, version: ApiVersion, kind: str) -> None:
        options = EmulatorOptions(pool_type="shell" if kind == "shell" else "python")
        async with open_emulator(local, options) as app:
            transport = Recording(app)
            findings = await verify(pool_of(version), transport=transport)
            found[version, kind] = findings, transport.answers

    async with (
        open_local_pool(configuration(max_timeout_seconds=220)) as local,
        anyio.create_task_group() as tasks,
    ):
        for version in VERSIONS:
            for kind in ("python", "shell"):
                tasks.start_soon(verified, local, version, kind)
    return found


@pytest.mark.parametrize(("version", "kind"), KINDS)
async def test_an_emulator_of_any_kind_and_version_has_no_difference(
    recorded: Recorded, version: ApiVersion, kind: str
) -> None:
    findings, _ = recorded[version, kind]
    assert [each for each in findings if each.is_different] == []
    assert {each.name for each in findings if not each.why_not_asked} == asked_of(version, kind)
    table = render(findings)
    assert table.count("| same |") == len(asked_of(version, kind))
    assert "| full-pool |  | it would take all sessions of the pool | not asked |" in table
    other = "the pool's sessions are shells" if kind == "shell" else "| shell |"
    assert other in table


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

    return with_body(given, lambda body: other(body) if body is not None else "other")


def other_fields(given: httpx.Response) -> httpx.Response:
    def other(value: Any) -> Any:
        match value:
            case dict():
                named = cast("dict[str, Any]", value)
                return {f"other{name}": other(each) for name, each in named.items()}
            case list():
                return [other(each) for each in cast("list[Any]", value)]
            case _:
                return value

    return with_body(given, lambda body: other(body) if body is not None else {"other": 1})


def more_fields(given: httpx.Response) -> httpx.Response:
    def more(body: Any) -> Any:
        return (
            {**cast("dict[str, Any]", body), "nextLink": None} if isinstance(body, dict) else body
        )

    return with_body(given, more)


def without_headers(given: httpx.Response) -> httpx.Response:
    return httpx.Response(given.status_code, content=given.content)


def is_the_same(one: httpx.Response, other: httpx.Response) -> bool:
    return (one.status_code, one.headers, one.content) == (
        other.status_code,
        other.headers,
        other.content,
    )


def with_body(given: httpx.Response, change: Callable[[Any], Any]) -> httpx.Response:
    body = given.json() if given.content[:1] in (b"{", b"[") else None
    headers = {name: given for name, given in given.headers.items() if "content" not in name}
    return httpx.Response(given.status_code, headers=headers, json=change(body))


PLANTS: list[Plant] = [another_status, another_body, other_fields, more_fields, without_headers]


@pytest.mark.parametrize(("version", "kind"), KINDS)
async def test_whatever_answer_is_otherwise_its_probe_finds_it_and_no_other(
    recorded: Recorded, version: ApiVersion, kind: str
) -> None:
    pool = pool_of(version, pacing=Pacing(head_start_seconds=0))
    _, answers = recorded[version, kind]
    has_everything = (version, kind) == (VERSIONS[-1], "python")
    found: set[str] = set()
    for at in range(1, len(answers) - 1):  # between what the pool runs, and the session's end
        by_it = 0
        for plant in PLANTS if has_everything else PLANTS[:1]:
            if is_the_same(plant(answers[at][1]), answers[at][1]):
                continue
            findings = await verify(pool, transport=Replayed(answers, at, plant))
            different = {each.name for each in findings if each.is_different}
            # One answer is one probe's; some only prepare, and what is in them tells nothing.
            assert len(different) <= 1, (at, plant, different)
            found |= different
            by_it += len(different)
            if by_it == 2:
                break
    # One looks at nothing but what a list does not have.
    assert asked_of(version, kind) - found <= (set() if has_everything else {"last-page"})


async def test_a_pool_that_goes_away_in_the_middle_is_said(recorded: Recorded) -> None:
    class Gone(Replayed):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.asked > 20:
                raise httpx.ConnectError("gone", request=request)
            return await super().handle_async_request(request)

    _, answers = recorded["2025-10-02-preview", "python"]
    with pytest.raises(PoolUnavailableError):
        await verify(pool_of("2025-10-02-preview"), transport=Gone(answers, -1, another_status))


async def test_a_connection_that_breaks_is_told_as_no_answer() -> None:
    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ReadError("broken", request=request)

    findings = await verify(pool_of("2025-10-02-preview"), transport=Broken())
    assert {each.seen for each in findings if not each.why_not_asked} == {"no answer: ReadError"}


def test_every_behaviour_of_the_catalogue_is_asked_about_or_has_a_reason() -> None:
    assert PROBES.keys() | NOT_ASKED.keys() == {each.name for each in CATALOGUE}
    assert not PROBES.keys() & NOT_ASKED.keys()


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
