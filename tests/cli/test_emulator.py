"""``aca-mcp emulator``: what it refuses, and how it begins and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from aca_mcp.cli import main
from tests.support.command_line import COMMAND, aca_mcp
from tests.support.emulators import POOL_PATH, azure_pool_at, emulator_process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "ACA_MCP_EMULATOR_TOKEN"),
        (["--port", "x"], "--port"),
        (["--port", "65536"], "--port"),
        (["--certificate", "/nowhere"], "--certificate must name a file"),
        (["--fault", "rain:1"], "drop-before"),
        (["--fault", "503:0.5"], "COUNT"),
        (["--fault", "503"], "--fault"),
        (["--allowed-hosts", "a/b"], "--allowed-hosts must be names"),
        (["--allowed-hosts", "*.example.com"], "--allowed-hosts must be names"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulator", *arguments]) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert shown.count("\n") == 1


def test_settings_that_choose_another_pool_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", "http://127.0.0.1:1")
    assert main(["emulator"]) == 2
    assert "local pool" in capsys.readouterr().err


def test_a_certificate_without_its_key_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.touch()
    assert main(["emulator", "--certificate", str(certificate)]) == 2
    assert "--key" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = aca_mcp("emulator", "--port", port)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_its_ordinary_end() -> None:
    command = [*COMMAND, "emulator", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "emulator at http://127.0.0.1:" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


async def test_with_a_token_it_may_listen_anywhere_and_takes_no_other() -> None:
    arguments = ("--host", "0.0.0.0", "--log-level", "error")
    with emulator_process(*arguments, ACA_MCP_EMULATOR_TOKEN="good") as address:
        endpoint = address.replace("0.0.0.0", "127.0.0.1") + POOL_PATH
        async with azure_pool_at(endpoint, token="good") as pool:
            execution = await pool.execute("identifier", "1", timeout_seconds=15)
            assert execution.outputs[0].data["text/plain"] == "1"
        async with httpx.AsyncClient() as http:
            refused = await http.get(endpoint, headers={"Authorization": "Bearer any"})
            assert refused.status_code == 401


async def test_faults_happen_over_a_socket_too() -> None:
    faults = ("drop-after:1", "503:1", "latency:0.01")
    arguments = [part for fault in faults for part in ("--fault", fault)]
    with emulator_process(*arguments) as address:
        async with azure_pool_at(address + POOL_PATH) as pool:
            execution = await pool.execute("identifier", "x = 1; x", timeout_seconds=15)
            assert execution.outputs[0].data["text/plain"] == "1"
