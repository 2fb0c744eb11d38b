"""Settings: where values come from, and the sentence that a wrong one is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from aca_mcp.errors import SettingsError
from aca_mcp.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def refusal(overrides: dict[str, str] | None = None, env_file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(overrides, env_file=env_file)
    return caught.value.message


def test_without_any_setting_the_pool_is_local() -> None:
    settings = load_settings()
    assert settings.pool_kind == "local"
    assert settings.local_network == "none"
    assert settings.local_isolation == "auto"


def test_an_endpoint_makes_the_automatic_choice_azure() -> None:
    settings = load_settings({"pool_management_endpoint": "https://pool.example.net/x/"})
    assert settings.pool_kind == "azure"
    assert settings.pool_management_endpoint == "https://pool.example.net/x"


def test_a_pool_named_by_the_user_wins_over_the_endpoint() -> None:
    settings = load_settings(
        {"pool": "local", "pool_management_endpoint": "https://pool.example.net"}
    )
    assert settings.pool_kind == "local"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text(
        "ACA_MCP_LOCAL_MEMORY_MIB=300\nACA_MCP_LOCAL_DISK_MIB=300\nACA_MCP_MAX_RESULT_TOKENS=900\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("ACA_MCP_LOCAL_MEMORY_MIB", "400")
    monkeypatch.setenv("ACA_MCP_LOCAL_DISK_MIB", "400")
    settings = load_settings({"local_memory_mib": "500"}, env_file=env_file)
    assert settings.local_memory_mib == 500
    assert settings.local_disk_mib == 400
    assert settings.max_result_tokens == 900


def test_a_dotenv_file_in_the_current_directory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor starts servers inside repositories, and theirs is not a file that we trust."""
    (tmp_path / ".env").write_text("ACA_MCP_LOCAL_ISOLATION=unsafe-none\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_settings().local_isolation == "auto"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACA_MCP_POOL", "")
    assert load_settings().pool == "auto"


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.pool = "azure"


def test_a_work_directory_is_resolved_once(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    assert load_settings({"work_dir": str(link)}).work_dir == tmp_path.resolve()


def test_an_interpreter_that_is_a_link_stays_a_link(tmp_path: Path) -> None:
    """A virtual environment's interpreter finds its packages by the path it was started with."""
    link = tmp_path / "python"
    link.symlink_to("/bin/sh")
    assert load_settings({"local_python": str(link)}).local_python == link


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            {"pool": "lokal"},
            "--pool must be 'auto', 'local', 'wasm' or 'azure'; without it the value is auto.",
        ),
        (
            {"local_memory_mib": "1"},
            (
                "--local-memory-mib must be greater than or equal to 128; without it the value is "
                "unset."
            ),
        ),
        (
            {"local_memory_mib": "much"},
            (
                "--local-memory-mib must be a valid integer, unable to parse string as an integer; "
                "without it the value is unset."
            ),
        ),
        (
            {"work_dir": "/nowhere/at/all"},
            (
                "--work-dir must be a directory that exists and can be read; without it the value "
                "is unset."
            ),
        ),
        (
            {"local_python": "/usr"},
            (
                "--local-python must be the path of a Python interpreter; without it the value is "
                "unset."
            ),
        ),
        (
            {"pool_management_endpoint": "http://pool.example.net"},
            (
                "--pool-management-endpoint must be an https:// URL (or http:// to this machine's "
                "own loopback); without it the value is unset."
            ),
        ),
        (
            {"pool": "azure"},
            (
                "--pool is azure, so ACA_MCP_POOL_MANAGEMENT_ENDPOINT must be set too (or "
                "set the pool to local)."
            ),
        ),
        (
            {"execution_timeout_seconds": "601"},
            (
                "--timeout must be at most ACA_MCP_LOCAL_MAX_TIMEOUT_SECONDS (600); change one of "
                "them."
            ),
        ),
    ],
)
def test_a_wrong_value_is_answered_with_its_name_its_fault_and_the_fix(
    overrides: dict[str, str], sentence: str
) -> None:
    assert refusal(overrides) == sentence


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "https://",
        "https://user:password@pool.example.net",
    ],
)
def test_an_endpoint_that_only_looks_local_or_safe_is_refused(endpoint: str) -> None:
    """A token would be sent there in the clear, or to somebody else."""
    assert "--pool-management-endpoint must" in refusal({"pool_management_endpoint": endpoint})


@pytest.mark.parametrize(
    "endpoint",
    ["http://localhost:8080/x", "http://127.0.0.1:9", "http://[::1]:9/a", "https://p.example/a/b"],
)
def test_loopback_may_be_plain_http_and_all_else_is_https(endpoint: str) -> None:
    assert (
        load_settings({"pool_management_endpoint": endpoint}).pool_management_endpoint == endpoint
    )


def test_a_wrong_variable_is_named_as_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACA_MCP_LOCAL_READY_SESSIONS", "-1")
    assert refusal().startswith("ACA_MCP_LOCAL_READY_SESSIONS must be greater than or equal to 0;")


def test_every_wrong_setting_gets_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACA_MCP_LOG_LEVEL", "loud")
    assert len(refusal({"pool": "x", "local_disk_mib": "y"}).splitlines()) == 3


def test_the_value_is_never_repeated() -> None:
    """It may be a secret that was put under the wrong name."""
    assert "hunter2" not in refusal({"pool": "hunter2"})


def test_a_misspelt_variable_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence would leave somebody believing that a limit is in force."""
    monkeypatch.setenv("ACA_MCP_WORKDIR", "/tmp")
    assert refusal() == "ACA_MCP_WORKDIR is not a setting; did you mean ACA_MCP_WORK_DIR?"


def test_a_variable_like_no_other_is_refused_in_a_file_too(tmp_path: Path) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text("OTHER=1\nACA_MCP_ZZZZZZZZZZZZZZZZZZZZZZZZ=1\n", encoding="utf-8")
    assert refusal(env_file=env_file) == (
        "ACA_MCP_ZZZZZZZZZZZZZZZZZZZZZZZZ is not a setting; unset it."
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(env_file=tmp_path / "none") == "--env-file must name a file that exists."


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_bytes(b"\xff\xfe\x00")
    assert refusal(env_file=env_file) == ("--env-file must name a file that can be read, in UTF-8.")


def test_every_setting_says_what_it_is_for() -> None:
    assert all(info.description for info in Settings.model_fields.values())


def test_several_azure_pools_are_set_with_commas_between() -> None:
    text = " https://a.example/x/, https://b.example , "
    settings = load_settings({"pool_management_endpoint": text})
    assert settings.pool_management_endpoints == ("https://a.example/x", "https://b.example")
    for wrong in ("https://a.example,http://b.example", "https://a.example,https://a.example/"):
        assert "--pool-management-endpoint must" in refusal({"pool_management_endpoint": wrong})
