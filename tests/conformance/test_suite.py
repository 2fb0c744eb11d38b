"""The official conformance suite: the server that users get, and every requirement on fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.environment import HERE, run

if TYPE_CHECKING:
    from pathlib import Path

FIXTURE_FREE = {
    "2025-11-25": (
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "dns-rebinding-protection",
        "server-sse-multiple-streams",
    ),
    "2026-07-28": (
        "server-stateless",
        "tools-list",
        "resources-list",
        "prompts-list",
        "sep-2164-resource-not-found",
        "caching",
        "http-header-validation",
        "dns-rebinding-protection",
        "server-sse-multiple-streams",
        "input-required-result-unsupported-methods",
    ),
}


@pytest.mark.parametrize(
    ("version", "scenario"),
    [(version, name) for version, names in FIXTURE_FREE.items() for name in names],
)
def test_the_server_as_it_is(version: str, scenario: str, address: str, tmp_path: Path) -> None:
    options = ["--spec-version", version, "--scenario", scenario]
    if scenario == "server-stateless":
        options += ["--expected-failures", str(HERE / "expected-failures.yml")]
    check(address, options, tmp_path)


@pytest.mark.parametrize("version", FIXTURE_FREE)
def test_all_that_a_revision_requires(version: str, fixtures_address: str, tmp_path: Path) -> None:
    check(fixtures_address, ["--requirements", version], tmp_path)


def check(address: str, options: list[str], results: Path) -> None:
    done = run("conformance", "server", "--url", f"{address}/mcp", "-o", str(results), *options)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
