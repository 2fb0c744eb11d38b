"""Published clients of the service, unmodified, against the emulator over a socket."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.environment import PYTHON
from tests.support.certificates import server_tls
from tests.support.emulators import POOL_PATH, emulator_process

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = Path(__file__).parent / "flows"


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
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of what the emulator over https shows."""
    directory = tmp_path_factory.mktemp("tls")
    server_tls(directory)
    return directory


@pytest.fixture(scope="module")
def encrypted(certificates: Path) -> Iterator[str]:
    """An emulator over https."""
    shown = str(certificates / "server.pem")  # its key is in it
    with emulator_process("--certificate", shown, "--key", shown) as address:
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
def test_a_client_that_takes_https_alone(encrypted: str, certificates: Path) -> None:
    run_flow("semantic_kernel", encrypted, SSL_CERT_FILE=str(certificates / "authority.pem"))
