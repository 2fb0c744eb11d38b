"""The doctor's conclusions from facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from aca_mcp.cli import doctor_checks as checks
from aca_mcp.cli.doctor_checks import Check, State
from aca_mcp.pool import Execution, ExecutionError, Output, Package, PoolMetadata, SessionLimits
from aca_mcp.sandbox.policy import Isolation
from aca_mcp.sandbox.probe import IsolationReport
from aca_mcp.settings import load_settings
from tests.support.executions import executed

if TYPE_CHECKING:
    from pathlib import Path

STRONG = IsolationReport(Isolation.NAMESPACES, {})
WEAK = IsolationReport(Isolation.LANDLOCK, {Isolation.NAMESPACES: "unshare: not permitted"})
NONE = IsolationReport(
    None, {Isolation.NAMESPACES: "unshare: not permitted", Isolation.LANDLOCK: "no Landlock"}
)


def metadata(*packages: Package) -> PoolMetadata:
    return PoolMetadata(
        kind="local",
        runtime="Python 3.12.1",
        packages=packages,
        work_directory="/mnt/data",
        max_timeout_seconds=600,
        max_file_bytes=1,
        network=False,
        isolation="namespaces",
    )


def test_checkpoints_are_told_with_what_they_are_good_for_or_how_to_have_them() -> None:
    kept = checks.check_checkpoints(metadata()._replace(checkpoints=2))
    assert kept.state is State.OK
    assert "2 can be undone" in kept.finding
    none = checks.check_checkpoints(metadata())
    assert none.state is State.NOTE
    assert "ACA_MCP_LOCAL_CHECKPOINTS" in none.fix


@pytest.mark.parametrize(
    ("overrides", "finding"),
    [
        ({}, "local, because no pool management endpoint is set"),
        (
            {"pool_management_endpoint": "https://pool.example.net"},
            "azure, because a pool management endpoint is set",
        ),
        ({"pool": "local"}, "local, because the settings name it"),
    ],
)
def test_the_choice_of_the_pool_is_explained(overrides: dict[str, str], finding: str) -> None:
    assert checks.check_pool(load_settings(overrides)).finding == finding


def test_another_system_than_linux_is_broken_and_has_alternatives() -> None:
    check = checks.check_platform("darwin")
    assert check.state is State.BROKEN
    assert "needs Linux" in check.finding
    assert "container" in check.fix
    assert "WSL" in check.fix


def test_linux_is_fine() -> None:
    assert checks.check_platform("linux").state is State.OK


@pytest.mark.parametrize(
    ("isolation", "report", "state", "words"),
    [
        ("auto", STRONG, State.OK, ["namespaces"]),
        ("namespaces", STRONG, State.OK, ["namespaces"]),
        ("landlock", STRONG, State.OK, ["landlock"]),
        ("auto", WEAK, State.NOTE, ["landlock", "no namespaces: unshare: not permitted"]),
        ("landlock", WEAK, State.OK, ["landlock"]),
        ("namespaces", WEAK, State.BROKEN, ["no namespaces: unshare: not permitted"]),
        ("auto", NONE, State.BROKEN, ["no namespaces", "no landlock: no Landlock"]),
        ("unsafe-none", STRONG, State.NOTE, ["all your rights"]),
    ],
)
def test_isolation_is_judged_by_what_is_asked_and_what_there_is(
    isolation: str, report: IsolationReport, state: State, words: list[str]
) -> None:
    check = checks.check_isolation(load_settings({"local_isolation": isolation}), report, "")
    assert check.state is state
    assert all(word in check.finding for word in words)
    assert bool(check.fix) == (state is State.BROKEN or isolation == "unsafe-none")


def test_the_usual_reason_on_this_kind_of_host_is_added() -> None:
    check = checks.check_isolation(load_settings(), WEAK, "This is a container.")
    assert check.finding.endswith(". This is a container.")


def test_a_session_that_computes_is_fine() -> None:
    result = Output("result", {"text/plain": "2"})
    check = checks.check_session(metadata(), executed(result), 0.5)
    assert check == Check("Session", State.OK, "Python 3.12.1, namespaces; 1+1 = 2 after 0.50 s")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (executed(), "it gave no result"),
        (executed(session_lost="it was killed"), "it was killed"),
        (executed(error=ExecutionError("MemoryError", "no room", "")), "no room"),
    ],
)
def test_a_session_that_does_not_compute_is_broken(found: Execution, why: str) -> None:
    check = checks.check_session(metadata(), found, 0.5)
    assert check.state is State.BROKEN
    assert check.finding == f"1+1 did not give 2: {why}"


def test_missing_packages_are_named_with_the_command_that_installs_them() -> None:
    check = checks.check_packages(metadata(Package("NumPy", "2.0")), "/opt/my python")
    assert check.state is State.NOTE
    assert check.finding.startswith("sessions have no pandas, matplotlib, scipy, ")
    assert check.fix.startswith("'/opt/my python' -m pip install pandas matplotlib scipy ")


def test_packages_that_are_there_are_named_with_versions() -> None:
    text = checks.check_packages(metadata(), "python").finding.removeprefix("sessions have no ")
    names = [*text.split(", "), "pip"]
    check = checks.check_packages(metadata(*(Package(name, "1.0") for name in names)), "python")
    assert check == Check(
        "Packages",
        State.OK,
        f"numpy 1.0, pandas 1.0, matplotlib 1.0 and {len(names) - 3} more",
    )


def test_limits_are_told_with_what_they_are_of() -> None:
    limits = SessionLimits(4 << 30, 100 << 20, output_bytes=1 << 20, idle_seconds=60, processes=128)
    check = checks.check_limits(load_settings(), limits, machine_bytes=16 << 30)
    assert check.finding.startswith(
        "4,096 MiB of this machine's 16,384 MiB memory, 100 MiB of disk and 128 processes a session"
    )
    assert "60 s an execution, at most 600 s" in check.finding
    without = checks.check_limits(load_settings(), limits._replace(processes=None), machine_bytes=0)
    assert without.finding.startswith("4,096 MiB of memory and 100 MiB of disk a session; ")


def test_environments_are_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACA_MCP_LOCAL_PYTHON", raising=False)
    found = checks.check_environments(load_settings(), ["data", "geo"])
    assert (found.state, found.finding) == (State.OK, "data (the default), geo")
    none = checks.check_environments(load_settings(), [])
    assert (none.state, none.fix) == (State.NOTE, "aca-mcp env create data")
    python = tmp_path / "python"
    python.touch(mode=0o755)
    own = checks.check_environments(load_settings({"local_python": str(python)}), ["data"])
    assert str(python) in own.finding


def test_a_network_is_worth_a_note() -> None:
    assert checks.check_network(load_settings()).state is State.OK
    assert checks.check_network(load_settings({"local_network": "host"})).state is State.NOTE
    in_wasm = load_settings({"local_network": "host", "pool": "wasm"})
    assert checks.check_network(in_wasm).finding == "code reaches none"


def test_clients_that_start_the_server_are_named() -> None:
    found = {"Cursor": ["aca-mcp"], "Zed": ["py", "aca-mcp"]}
    assert checks.check_clients(found).finding == "Cursor (aca-mcp), Zed (py, aca-mcp)"
    assert "aca-mcp install CLIENT" in checks.check_clients({}).fix


def test_programs_get_the_report_as_json() -> None:
    found = json.loads(checks.as_json([Check("One", State.BROKEN, "bad", "Do this.")]))
    assert found == {
        "ready": False,
        "checks": [{"name": "One", "state": "broken", "finding": "bad", "fix": "Do this."}],
    }


@pytest.mark.parametrize(("writable", "state"), [(True, State.OK), (False, State.NOTE)])
def test_a_work_directory_is_judged_by_its_permissions(
    tmp_path: Path, writable: bool, state: State
) -> None:
    settings = load_settings({"work_dir": str(tmp_path)})
    assert checks.check_work_dir(settings, writable=writable).state is state


def test_no_work_directory_is_fine() -> None:
    assert checks.check_work_dir(load_settings(), writable=False).state is State.OK


def test_a_report_has_the_fixes_and_counts_what_is_broken() -> None:
    text = checks.render(
        [Check("One", State.OK, "fine"), Check("Second", State.BROKEN, "not fine", "Do this.")]
    )
    assert text == (
        "ok      One     fine\n"
        "broken  Second  not fine\n"
        "                Fix: Do this.\n"
        "\n"
        "1 of 2 checks failed.\n"
    )


def test_a_report_without_faults_says_ready() -> None:
    assert checks.render([Check("One", State.NOTE, "fine")]).endswith("\n\nReady.\n")
