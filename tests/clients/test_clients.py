"""Published clients of the service, unmodified, against the emulator over a socket."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients.environment import PYTHON
from tests.support.emulators import POOL_PATH, emulator_process

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = Path(__file__).parent / "flows"


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aca-mcp emulator")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """An emulator over http."""
    with emulator_process() as address:
        yield address + POOL_PATH


@pytest.fixture(scope="module")
def shell() -> Iterator[str]:
    """An emulator of a Shell pool."""
    with emulator_process("--pool", "shell") as address:
        yield address + POOL_PATH


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the emulator over https shows."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def encrypted(certificate: tuple[Path, Path]) -> Iterator[str]:
    """An emulator over https."""
    shown, key = certificate
    with emulator_process("--certificate", str(shown), "--key", str(key)) as address:
        yield address + POOL_PATH


def run_flow(flow: str, endpoint: str, **environment: str) -> None:
    done = subprocess.run(
        [PYTHON, "-W", "ignore", FLOWS / f"{flow}_flow.py", endpoint],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-1000:]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("flow", ["autogen", "code_interpreter", "langchain", "llama_index"])
def test_clients_that_take_http(flow: str, plain: str) -> None:
    run_flow(flow, plain)


@pytest.mark.timeout(180)
def test_a_client_of_shell_pools(shell: str) -> None:
    run_flow("langchain_shell", shell)


@pytest.mark.timeout(180)
def test_a_client_that_takes_https_alone(encrypted: str, certificate: tuple[Path, Path]) -> None:
    run_flow("semantic_kernel", encrypted, SSL_CERT_FILE=str(certificate[0]))
