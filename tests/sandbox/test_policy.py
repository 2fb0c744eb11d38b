"""What a sandbox allows, decided before anything is done."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aca_mcp.sandbox.policy import (
    NETWORK_FILES,
    SYSTEM_DIRECTORIES,
    Isolation,
    SandboxPolicy,
    readable_paths,
)
from tests.support.policies import UNSAFE

POLICY = UNSAFE._replace(isolation=Isolation.LANDLOCK, readable=("/usr", "/lib"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home directory, with an interpreter in it."""
    directory = tmp_path / "users" / "somebody"
    (directory / "project" / ".venv").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(directory))
    return directory


def test_a_policy_survives_the_way_to_the_template() -> None:
    assert SandboxPolicy.from_json(json.loads(json.dumps(POLICY.to_json()))) == POLICY


def test_system_directories_are_readable_where_they_exist() -> None:
    found = readable_paths((), network=False)
    assert "/usr" in found
    assert all(Path(path).exists() for path in found)
    assert {path for path in SYSTEM_DIRECTORIES if Path(path).exists()} <= set(found)


def test_nothing_that_names_a_user_or_a_secret_is_readable() -> None:
    found = readable_paths((), network=True)
    for path in ("/", "/etc", "/home", "/root", "/var", "/proc", "/sys", "/dev", "/run", "/tmp"):
        assert path not in found
    assert not {"/etc/passwd", "/etc/shadow", "/etc/ssl", "/etc/ssl/private"} & set(found)


def test_what_finds_hosts_is_readable_only_with_a_network() -> None:
    assert not set(NETWORK_FILES) & set(readable_paths((), network=False))
    with_network = readable_paths((), network=True)
    assert set(filter(os.path.exists, NETWORK_FILES)) <= set(with_network)


def test_an_interpreter_is_readable_wherever_it_lives(home: Path) -> None:
    found = readable_paths((str(home / "project" / ".venv"),), network=False)
    assert found[-1] == str(home / "project" / ".venv")
    assert str(home) not in found


def test_both_names_of_an_interpreter_are_readable(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home / "project" / ".venv")
    found = readable_paths((str(link),), network=False)
    assert found[-2:] == (str(link), str(home / "project" / ".venv"))


def test_each_path_is_there_once(home: Path) -> None:
    environment = str(home / "project" / ".venv")
    names = (environment, f"{environment}/", f"{environment}/../.venv", "/usr", "/usr/bin")
    found = readable_paths(names, network=False)
    assert len(found) == len(set(found))
    assert found.count(environment) == 1
    assert "/usr/bin" not in found


def test_what_lies_in_a_readable_directory_is_not_named_again(home: Path) -> None:
    inner = home / "project" / ".venv" / "lib"
    inner.mkdir()
    found = readable_paths((str(inner.parent), str(inner)), network=False)
    assert found[-1] == str(inner.parent)


def test_a_directory_that_is_missing_is_left_out(home: Path) -> None:
    assert str(home / "gone") not in readable_paths((str(home / "gone"),), network=False)


@pytest.mark.parametrize("above", ["", "..", "../.."])
def test_an_interpreter_that_would_show_the_home_directory_is_refused(
    home: Path, above: str
) -> None:
    path = os.path.normpath(home / above)
    with pytest.raises(ValueError, match="use a virtual environment") as refused:
        readable_paths((str(home / above),), network=False)
    assert str(refused.value).startswith(f"the interpreter lives in {path}, which holds the home")


def test_an_interpreter_at_the_root_is_refused() -> None:
    with pytest.raises(ValueError, match="the interpreter lives in /, which holds"):
        readable_paths(("/",), network=False)


def test_a_link_to_the_home_directory_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(ValueError, match="which holds the home directory"):
        readable_paths((str(tmp_path / "link"),), network=False)


def test_a_directory_whose_name_begins_like_the_home_directory_is_not_it(home: Path) -> None:
    other = Path(f"{home}-python")
    other.mkdir()
    assert str(other) in readable_paths((str(other),), network=False)
