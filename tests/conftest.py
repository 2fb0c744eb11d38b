"""What tests of every room share."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.support.session_settings import SESSION_SETTINGS
from tests.support.toy_pool import ToyPool

# The tests of environments, and those of figures and tables, name others.
for name, text in SESSION_SETTINGS.items():
    os.environ.setdefault(name, text)


def pytest_sessionfinish() -> None:
    """Save what was measured while a worker is waited for: it has seconds to end after that."""
    coverage = sys.modules.get("coverage")  # not there where nothing is measured
    if coverage is not None and (measured := coverage.Coverage.current()) is not None:
        measured.save()


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
