"""What odd answers come to where they are read: in a tool's result, and in a terminal."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mcp import Client

from aca_mcp.cli import main
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.server.app import ServerOptions, create_server
from aca_mcp.server.callers import Callers
from aca_mcp.server.sessions.client_sessions import open_sessions
from tests.azure.loopback_service import listening
from tests.azure.service import IDENTIFIER, answer, fault, run, succeeded
from tests.support.calling import Caller, text_of
from tests.support.emulators import POOL_PATH, azure_pool_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMED_OUT = "Request timed out waiting for code execution to complete"


def failed(stderr: str) -> httpx.Response:
    result = {"stdout": "printed before\n", "stderr": stderr, "executionResult": ""}
    return answer(200, {"id": "e", "status": "Failed", "result": result})


def no_gzip() -> httpx.Response:
    headers = {"content-encoding": "gzip"}
    return httpx.Response(200, stream=httpx.ByteStream(b"{}"), headers=headers)


ROWS: dict[str, tuple[Callable[[], httpx.Response], tuple[str, ...]]] = {
    "timeout": (lambda: failed(f"{TIMED_OUT} after 9 seconds"), ("printed before",)),
    "died": (lambda: failed("Kernel restarted"), ("printed before", "out of memory")),
    "aborted": (lambda: failed("Execution aborted"), ("probably did not run",)),
    "glued": (
        lambda: failed('careful!Traceback (most recent call last):\n  File "a"\nKeyError: 1'),
        ("careful!\n", "KeyError: 1"),
    ),
    "no gzip": (no_gzip, ("it may have run", "not in the encoding")),
    "a page": (
        lambda: answer(200, b"<title>Sign in to your account</title>"),
        ("HTTP status 200: Sign in to your account",),
    ),
    "a gateway": (lambda: answer(502, b"<h1>Bad Gateway</h1>"), ("HTTP status 502: Bad Gateway",)),
    "no content": (lambda: answer(204), ("HTTP status 204 without a word",)),
    "no role": (lambda: answer(401), ("Session Executor", "ACA_MCP_AZURE_API_VERSION")),
    "too many": (lambda: answer(429, None, Retry_After="120"), ("in 120 s",)),
    "moved": (
        lambda: answer(302, None, Location="https://login.example/a"),
        ("https://login.example/a",),
    ),
    "a text": (lambda: answer(400, b'"Code is not welcome."'), ("Code is not welcome.",)),
    "a field": (lambda: fault(400, "X", "Validation failed."), ("Validation failed.",)),
}


def service_of(row: str) -> Callable[[str, str], httpx.Response]:
    """Enters the work directory, and then answers every execution so."""
    executions = 0

    def give(method: str, path: str) -> httpx.Response:
        nonlocal executions
        if method == "POST":
            executions += 1
            return succeeded() if executions == 1 else ROWS[row][0]()
        return answer(404)

    return give


@pytest.mark.parametrize("row", ROWS)
async def test_a_model_is_told(row: str) -> None:
    give = service_of(row)

    async def service(request: httpx.Request) -> httpx.Response:
        return give(request.method, str(request.url))

    transport = httpx.MockTransport(service)
    endpoint = f"http://127.0.0.1{POOL_PATH}"
    async with (
        azure_pool_at(endpoint, transport=transport, rich_results=False, retry_seconds=0) as pool,
        open_sessions(pool) as sessions,
        Client(create_server(Callers(sessions), ServerOptions()), mode="legacy") as client,
    ):
        call = Caller(client)
        told = text_of(await call.result("execute_python", code="1"))
        assert all(words in told for words in ROWS[row][1]), told
        assert ("time was up" in told) == (row == "timeout")
        # And the server goes on.
        assert (await client.list_tools()).tools


@pytest.mark.parametrize("row", ROWS)
def test_a_person_is_told(
    row: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(service_of(row)) as address:
        settings = {
            "POOL_MANAGEMENT_ENDPOINT": address + POOL_PATH,
            "AZURE_CREDENTIAL": "emulator",
            "AZURE_RESULTS": "plain",
            "AZURE_RETRY_SECONDS": "0",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"ACA_MCP_{name}", value)
        assert main(["exec", "1"]) == 1
    shown = capsys.readouterr()
    assert all(words in shown.out + shown.err for words in ROWS[row][1]), shown
    assert "Traceback (most recent call last)" not in shown.err or row == "glued"


async def test_upkeep_that_meets_odd_answers_ends_nothing() -> None:
    looked = 0

    async def service(request: httpx.Request) -> httpx.Response:
        nonlocal looked
        if request.method == "POST":
            return succeeded(7)
        if request.method == "DELETE":
            return answer(204)
        looked += 1
        if request.url.path.endswith("/session"):
            return answer(200, {"identifier": IDENTIFIER, "etag": str(looked)})
        odd = [no_gzip(), answer(200, b"<html>"), answer(200), answer(200, [1]), answer(200, b"[")]
        return odd[looked % 5]

    transport = httpx.MockTransport(service)
    endpoint = f"http://127.0.0.1{POOL_PATH}"
    async with (
        azure_pool_at(endpoint, transport=transport, rich_results=False, retry_seconds=0) as pool,
        open_sessions(pool, keep_alive_seconds=0.01) as sessions,
        Client(create_server(Callers(sessions), ServerOptions()), mode="legacy") as client,
    ):
        call = Caller(client)
        assert "7" in await call("execute_python", code="1")
        with anyio.fail_after(20):
            while looked < 20:  # noqa: ASYNC110 -- the service tells nobody
                await anyio.sleep(0.005)
        assert "7" in await call("execute_python", code="1")


def certificate(directory: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def refused(endpoint: str, **options: Any) -> str:
    with pytest.raises(PoolUnavailableError) as told, anyio.fail_after(20):
        async with azure_pool_at(endpoint + POOL_PATH, retry_seconds=0, **options) as pool:
            await run(pool)
    return told.value.message


async def test_what_is_wrong_with_the_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(lambda _, __: answer(404), certificate(tmp_path)) as address:
        told = await refused(address)
        assert "certificate of 127.0.0.1 is not trusted: self-signed certificate" in told
        assert "SSL_CERT_FILE" in told
    with listening(lambda _, __: answer(404)) as address:
        assert "TLS with 127.0.0.1 failed" in await refused(address.replace("http:", "https:"))
    assert "No connection to 127.0.0.1: " in await refused("http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
    told = await refused("https://pool.example")
    assert "through the proxy 127.0.0.1:1" in told
    assert "secret" not in told


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
