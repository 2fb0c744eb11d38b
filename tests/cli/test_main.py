"""The command line up to the point where a command runs: help, versions, refusals."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

import aca_mcp
from aca_mcp.cli import main
from aca_mcp.settings import Settings, flag_name, variable_name
from aca_mcp.settings.local import LocalSettings
from tests.support.command_line import COMMAND

if TYPE_CHECKING:
    from pathlib import Path


def test_on_a_terminal_no_arguments_give_a_short_help() -> None:
    """Instead of waiting for a protocol that nobody types."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            COMMAND, stdin=slave, capture_output=True, encoding="utf-8", timeout=30
        )
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: aca-mcp")
    assert len(done.stdout.splitlines()) < 25


def test_serving_on_a_terminal_says_what_it_waits_for_and_ctrl_c_ends_it() -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "serve"], stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    os.close(slave)
    try:
        assert process.stderr is not None
        assert b"waiting for an MCP client" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    finally:
        os.close(master)
    assert (process.returncode, rest) == (0, b"")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"aca-mcp {aca_mcp.__version__}\n"


def page(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["serve", "exec", "doctor", "install"])
def test_the_long_help_has_every_setting_that_the_command_heeds(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page(capsys, command, "--help-all")
    fields = Settings.model_fields if command == "serve" else LocalSettings.model_fields
    flags = set(re.findall(r"--[a-z-]+", text))
    missing = [field for field in fields if flag_name(field) not in flags]
    assert missing == [name for name in fields if fields[name].annotation is SecretStr]
    assert all(variable_name(name) in text for name in missing)
    assert {"--env-file PATH", "--local-memory-mib N", "--local-python PATH"} <= set(
        re.findall(r"--[a-z-]+ [A-Z]+", text)
    )
    assert ("--transport" in text) == (command == "serve")
    assert ("--work-dir" in text) == (command != "exec")


@pytest.mark.parametrize("command", ["serve", "exec", "doctor", "install", "emulator"])
def test_the_short_help_has_the_commands_own_flags_and_names_the_long_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page(capsys, command, "--help")
    assert len(text.splitlines()) < 60
    assert text.startswith(f"usage: aca-mcp {command} ")
    assert f"more settings: aca-mcp {command} --help-all" in text
    assert "default: " in text
    assert "cooldown" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local-disk-mib", "1", "doctor"],
        ["doctor", "--local-disk-mib", "1"],
        ["--local-disk-mib=1", "doctor"],
        ["--env-file", "doctor", "--local-disk-mib", "1", "doctor"],
    ],
)
def test_flags_may_stand_before_the_command_or_behind_it(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "doctor").touch()
    assert main(arguments) == 2
    assert "--local-disk-mib must be" in capsys.readouterr().err


def test_the_time_of_one_execution_has_a_short_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exec", "--timeout", "soon", "1"]) == 2
    assert "--timeout must be" in capsys.readouterr().err


def test_a_wrong_setting_stops_the_start_with_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--pool", "lokal"]) == 2
    assert capsys.readouterr().err == (
        "aca-mcp: --pool must be 'auto', 'local', 'wasm' or 'azure'; "
        "without it the value is auto.\n"
    )


def test_flags_without_a_command_are_those_of_serve(capsys: pytest.CaptureFixture[str]) -> None:
    """Client configurations are shorter so."""
    assert main(["--log-level", "loud"]) == 2
    assert "--log-level must be" in capsys.readouterr().err


def test_a_setting_in_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACA_MCP_LOCAL_DISK_MIB", "1")
    assert main(["doctor"]) == 2
    assert "ACA_MCP_LOCAL_DISK_MIB must be" in capsys.readouterr().err


def test_a_setting_in_a_named_file_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_text("ACA_MCP_LOG_LEVEL=loud\n", encoding="utf-8")
    assert main(["doctor", "--env-file", str(env_file)]) == 2
    assert "ACA_MCP_LOG_LEVEL must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["server"], "there is no command 'server'; did you mean serve? See"),
        (["frobnicate"], "commands: serve, exec, "),
        (["serve", "--work-dri", "/"], "no flag --work-dri; did you mean --work-dir? See"),
        (["--work-dri", "/", "doctor"], "aca-mcp doctor: there is no flag --work-dri"),
        (["serve", "--work=/"], "no flag --work; did you mean --work-dir? See"),
        (["exec", "1", "--work-dir", "/"], "--work-dir is a flag of serve"),
        (["repl", "1"], "'1' is one argument too many"),
        (
            ["exec", "1", "--verbose"],
            "there is no flag --verbose; what is for the code's own sys.argv",
        ),
        (["serve", "--auth-tokens", "a=hush"], "a secret and so no flag: set ACA_MCP_AUTH_TOKENS"),
    ],
)
def test_what_is_not_understood_is_answered_with_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert "hush" not in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["exec"],
            "exec needs code, a path of a script or a notebook, - for stdin, or --interactive.",
        ),
        (["repl"], "A prompt needs a terminal. For code from a pipe there is exec -."),
        (
            ["exec", "1", "--notebook", "no/x.ipynb"],
            "--notebook no/x.ipynb is in no directory that exists.",
        ),
        (["exec", "nowhere.py"], "nowhere.py cannot be read: No such file or directory."),
        (["exec", "1", "--upload", "none.csv"], "--upload none.csv is not a file of this machine."),
        (["exec", "1", "--download", ".."], "--download .. does not name a file."),
    ],
)
def test_exec_looks_for_its_files_before_it_starts_anything(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"aca-mcp: {sentence}\n"
