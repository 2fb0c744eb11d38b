"""The image that ``scripts/image --test`` built, and containers of it.

Containers have no network, the engine's default system call filter and default capabilities. What
the tests start is theirs: each container has a name of its own and is removed in the end.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

IMAGE = os.environ.get("IMAGE", "")
RUN = ["podman", "run", "--rm", "--interactive", "--no-healthcheck", "--network=none"]
TIME_LIMIT_SECONDS = 60

# They need the image, which scripts/image builds and then runs them on.
collect_ignore_glob = [] if IMAGE else ["test_*.py"]


def in_container(
    *arguments: str, options: tuple[str, ...] = (), time_limit_seconds: float = TIME_LIMIT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """A command run to its end in a container of its own."""
    return subprocess.run(
        [*RUN, *options, IMAGE, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=time_limit_seconds,
    )


@pytest.fixture
def container_name() -> Generator[str]:
    """A name for a container that is removed however the test ends."""
    name = f"aca-mcp-test-{uuid.uuid4().hex[:8]}"
    yield name
    subprocess.run(
        ["podman", "rm", "--force", "--ignore", "--time=5", name],
        capture_output=True,
        check=True,
        timeout=TIME_LIMIT_SECONDS,
    )
