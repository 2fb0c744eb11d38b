"""What tests of every room share."""

from __future__ import annotations

import signal

import pytest

from tests.toy_pool import ToyPool


@pytest.fixture(scope="session", autouse=True)
def programs_can_be_interrupted() -> None:
    """Tests that a shell starts in the background ignore SIGINT, and so does what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def toy_pool() -> ToyPool:
    """A pool in this process, for what is above the port."""
    return ToyPool()
