"""The container image, used as a person would use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import TextContent

from tests.image.conftest import IMAGE, RUN, TIME_LIMIT_SECONDS, in_container

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-image-tests"
SERVER = "/opt/aca-mcp/lib/python3.11/site-packages"
SESSIONS = "/opt/aca-mcp-data/environments/minimal/bin/python"
ORDINARY = "tests/hostile/test_ordinary_code.py::test_ordinary_code_works"
NOT_RUN = (
    "-k 'not namespaces' --ignore=tests/hostile/test_loop_pauses.py "
    f"--deselect='{ORDINARY}[landlock-work for all processors]'"
)
"""Namespaces there are none, the server's own pauses are the same anywhere, and joblib is in larger
environments."""
UNPRIVILEGED = """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getuid(), int(status["CapEff"], 16), status["Seccomp"])
"""


def test_nothing_in_it_is_root_or_unfiltered() -> None:
    done = in_container("-c", UNPRIVILEGED, options=("--entrypoint", "python"))
    assert done.stdout.split() == ["10001", "0", "2"]


def test_only_what_runs_is_in_it() -> None:
    """No tests, no package installer and no sources beside the package itself."""
    names = ("pip", "tests", "pytest")
    look = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    done = in_container("-c", look, options=("--entrypoint", "python"))
    assert done.stdout == "[]\n"


def test_the_doctor_finds_a_container_that_is_ready() -> None:
    done = in_container("doctor")
    assert done.returncode == 0, done.stdout
    assert "landlock" in done.stdout
    assert done.stdout.endswith("Ready.\n")


async def test_it_serves_over_stdio(container_name: str) -> None:
    command = [*RUN, "--name", container_name, IMAGE]
    # The engine's configuration, which a client would not hand down.
    engine = {name: value for name, value in os.environ.items() if name.startswith("CONTAINERS_")}
    server = StdioServerParameters(command=command[0], args=command[1:], env=engine)
    with anyio.fail_after(TIME_LIMIT_SECONDS):
        async with Client(stdio_client(server)) as client:
            for code, expected in (("x = 6 * 7", ""), ("print(x)", "42"), ("import pandas", "")):
                result = await client.call_tool("execute_python", {"code": code})
                text = "".join(
                    block.text for block in result.content if isinstance(block, TextContent)
                )
                assert not result.is_error, text
                assert expected in text


@pytest.mark.parametrize("owner", [0, 1000, 10001])
def test_a_folder_that_is_mounted_is_written_to_by_its_owner(tmp_path: Path, owner: int) -> None:
    """Told at the start where it cannot be; with ``--user``, it can."""
    tmp_path.chmod(0o755)
    os.chown(tmp_path, owner, owner)
    mount = ("--volume", f"{tmp_path}:/data")
    arguments = ("--work-dir", "/data", "doctor")
    alone = in_container(*arguments, options=mount)
    assert ("may not write there" in alone.stdout) == (owner != 10001)
    done = in_container(*arguments, options=(*mount, "--user", f"{owner}:{owner}"))
    assert (done.returncode, "may not write there" in done.stdout) == (0, False)


def test_it_does_not_listen_to_everybody_without_authentication() -> None:
    done = in_container("serve", "--transport", "http", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "ACA_MCP_AUTH_TOKENS" in done.stderr


def test_it_serves_over_http_and_its_health_check_says_so(container_name: str) -> None:
    """From within, because the container has no network but its own loopback."""
    program = ROOT / "tests" / "image" / "http_flow.py"
    command = [argument for argument in RUN if argument != "--no-healthcheck"]
    command += ["--detach", "--name", container_name, "--env", f"ACA_MCP_AUTH_TOKENS=me={TOKEN}"]
    command += ["--volume", f"{program}:/http_flow.py:ro"]
    podman(*command[1:], IMAGE, "serve", "--transport", "http", "--host", "0.0.0.0")
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while podman("healthcheck", "run", container_name, check=False).returncode != 0:
        assert time.monotonic() < deadline, podman("logs", container_name).stderr
    url = "http://127.0.0.1:8000/mcp"
    done = podman("exec", container_name, "python", "/http_flow.py", url, TOKEN, check=False)
    assert done.stdout == "used over HTTP\n", done.stderr
    podman("stop", "--time=20", container_name)


def test_its_labels_are_those_of_the_registry() -> None:
    labels = json.loads(podman("image", "inspect", "--format={{json .Labels}}", IMAGE).stdout)
    server = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    assert labels["io.modelcontextprotocol.server.name"] == server["name"]
    assert labels["org.opencontainers.image.version"] == server["version"]


@pytest.mark.timeout(600)
def test_hostile_programs_stay_in_their_sessions(tmp_path: Path) -> None:
    """The project's own, with the interpreter that sessions have there, and its aca-mcp."""
    packages = tmp_path / "packages"
    install = ["-m", "pip", "install", "--quiet", "--target", str(packages)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = [pin for pin in project["dependency-groups"]["dev"] if pin.startswith("pytest")]
    subprocess.run([sys.executable, *install, *pins], check=True, timeout=120)
    options = ["--volume", f"{packages}:/packages:ro", f"--env=PYTHONPATH=/packages:{SERVER}"]
    for name in ("tests", "pyproject.toml"):
        options += ["--volume", f"{ROOT / name}:/checkout/{name}:ro"]
    options += ["--workdir=/checkout", "--env=PYTHONDONTWRITEBYTECODE=1", "--entrypoint=sh"]
    options += ["--env=CI=true"]  # what cannot be tested fails, and is not left out
    # The shell is the first process there, so that the tests have a parent as they do outside.
    run = f"{SESSIONS} -m pytest -q -p no:cacheprovider tests/hostile {NOT_RUN}; exit $?"
    done = in_container("-c", run, options=tuple(options), time_limit_seconds=480)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["podman", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=check,
        timeout=TIME_LIMIT_SECONDS,
    )
