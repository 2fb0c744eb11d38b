"""What tests of every room share."""

from __future__ import annotations

import pytest

from tests.toy_pool import ToyPool


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def toy_pool() -> ToyPool:
    """A pool in this process, for what is above the port."""
    return ToyPool()
