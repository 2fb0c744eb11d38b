"""What is wrong between here and the pool is named: certificates, proxies, and their files."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from aca_mcp.cli import main
from aca_mcp.errors import PoolUnavailableError
from tests.azure.service import answer, run, succeeded
from tests.azure.shown_answers import Terminal, told_to_model
from tests.support.certificates import server_tls
from tests.support.command_line import aca_mcp
from tests.support.emulators import POOL_PATH, azure_pool_at
from tests.support.loopback_service import listening

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

HTML = b"<html><head><title>Sign in to continue</title></head></html>"


async def refused(endpoint: str, **options: Any) -> str:
    with pytest.raises(PoolUnavailableError) as told, anyio.fail_after(30):
        async with azure_pool_at(endpoint + POOL_PATH, retry_seconds=0, **options) as pool:
            await run(pool)
    return told.value.message


@contextmanager
def proxy(says: bytes) -> Generator[str]:
    """A proxy that answers every request so, and closes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(says)
                    # Closed with something unread it would be a reset, which may come first.
                    connection.shutdown(socket.SHUT_WR)
                    with suppress(OSError):
                        while connection.recv(65536):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://user:secret@127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ({}, "self-signed certificate"),
        ({"self_signed": False}, "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_of_an_unknown_authority(
    tmp_path: Path, certificate: dict[str, Any], says: str
) -> None:
    with listening(lambda _, __: answer(404), server_tls(tmp_path, **certificate)) as address:
        told = await refused(address)
    assert f"certificate of 127.0.0.1 is not trusted: {says}" in told
    assert "SSL_CERT_FILE" in told


@pytest.mark.parametrize("self_signed", [True, False])
@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ({"days": -1}, "certificate has expired"),
        ({"address": "127.0.0.8"}, "IP address mismatch"),
    ],
)
async def test_a_certificate_of_a_known_authority_that_is_not_good(
    tmp_path: Path,
    certificate: dict[str, Any],
    says: str,
    self_signed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = server_tls(tmp_path, self_signed=self_signed, **certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with listening(lambda _, __: answer(404), tls) as address:
        told = await refused(address)
    assert f"certificate of 127.0.0.1 is not trusted: {says}" in told


@pytest.mark.parametrize("self_signed", [True, False])
async def test_a_certificate_of_an_authority_that_was_named_is_trusted(
    tmp_path: Path, self_signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = server_tls(tmp_path, self_signed=self_signed)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with listening(lambda _, __: succeeded(7), tls) as address:
        async with azure_pool_at(address + POOL_PATH, rich_results=False) as pool:
            assert (await run(pool)).outputs[0].data["text/plain"] == "7"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "refused to connect to pool.example: 407 Proxy Authentication Required",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(HTML), HTML),
            "refused to connect to pool.example: 502 Bad Gateway",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nnot TLS at all", "TLS with pool.example through the proxy"),
        (b"", "through the proxy"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "through the proxy"),
    ],
    ids=["407", "a page", "no TLS behind", "closed", "no proxy at all"],
)
async def test_a_proxy_that_lets_nothing_through(
    says: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(says) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        message = await refused("https://pool.example")
    assert told in message
    assert "127.0.0.1" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SSL_CERT_FILE", "/nowhere/certificates.pem", "No such file or directory"),
        ("SSL_CERT_FILE", __file__, "PEM form"),
        ("HTTPS_PROXY", "nonsense://127.0.0.1", "HTTPS_PROXY"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "ALL_PROXY"),
    ],
)
async def test_what_the_environment_names_wrongly_is_said_when_the_pool_is_opened(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    told = await refused("https://pool.example")
    assert name in told
    assert says in told


async def test_what_does_not_listen_or_speaks_no_tls_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listening(lambda _, __: answer(404)) as address:
        assert "TLS with 127.0.0.1 failed" in await refused(address.replace("http:", "https:"))
    assert "No connection to 127.0.0.1: " in await refused("http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
    told = await refused("https://pool.example")
    assert "through the proxy 127.0.0.1:1" in told
    assert "secret" not in told


async def test_a_model_is_told_of_certificates_and_proxies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("execute_python", {"code": "1"})
    with listening(lambda _, __: answer(404), server_tls(tmp_path)) as address:
        (told,) = await told_to_model(address, call)
    assert "is not trusted: self-signed certificate" in told
    (told,) = await told_to_model("http://127.0.0.1:1", call)
    assert "No connection to 127.0.0.1: " in told
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
    (told,) = await told_to_model("https://pool.example", call)
    assert "through the proxy 127.0.0.1:1" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SSL_CERT_FILE", "/nowhere/certificates.pem", "No such file or directory"),
        ("HTTPS_PROXY", "http://user:secret@127.0.0.1:1", "through the proxy 127.0.0.1:1"),
    ],
)
def test_a_person_is_told_of_certificates_and_proxies(
    name: str,
    value: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    code, shown = Terminal(monkeypatch, capsys)("https://pool.example", "1")
    assert (code, says in shown) == (1, True), shown
    assert "Traceback" not in shown
    assert "secret" not in shown


def test_a_server_that_cannot_use_what_the_environment_names_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    monkeypatch.setenv("ACA_MCP_POOL_MANAGEMENT_ENDPOINT", f"https://pool.example{POOL_PATH}")
    monkeypatch.setenv("ACA_MCP_AZURE_CREDENTIAL", "emulator")
    assert main(["serve"]) == 1
    told = capsys.readouterr().err
    assert "SSL_CERT_FILE" in told
    assert "No such file or directory" in told


def test_a_person_is_told_in_one_sentence(tmp_path: Path) -> None:
    with listening(lambda _, __: answer(404), server_tls(tmp_path)) as address:
        done = aca_mcp(
            "exec",
            "1",
            ACA_MCP_POOL_MANAGEMENT_ENDPOINT=address + POOL_PATH,
            ACA_MCP_AZURE_CREDENTIAL="emulator",
            ACA_MCP_AZURE_RETRY_SECONDS="1",
        )
    assert done.returncode == 1
    assert "is not trusted: self-signed certificate" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
