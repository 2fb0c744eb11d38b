"""These tests need Node and more in a place of its own; `scripts/conformance` makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.environment import CACHE
from tests.support.listening_process import listening_process

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore_glob = [] if (CACHE / ".prepared").exists() else ["test_*.py"]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The server that users get, over HTTP and SSE."""
    command = ("aca_mcp", "serve", "--transport", "http,sse", "--port", "0")
    with listening_process([], *command) as (address, _):
        yield address


@pytest.fixture(scope="session")
def fixtures_address() -> Iterator[str]:
    """The same composition with the suite's fixtures on it."""
    with listening_process([], "tests.conformance.fixtures_server") as (address, _):
        yield address
