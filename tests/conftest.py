"""What tests of every room share."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, settings

from tests.support.session_settings import SESSION_SETTINGS
from tests.support.toy_pool import ToyPool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_OF_ITS_TIME = 0.9

# How long an example takes says how busy the machine is.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# The tests of environments, and those of figures and tables, name others.
for name, text in SESSION_SETTINGS.items():
    os.environ.setdefault(name, text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each asynchronous test end itself before its time is up.

    What is raised from outside then (a signal's handler) ends the event loop's own task as well:
    all further tests of it would wait for ever.
    """
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            seconds = float(marker.args[0] if marker else config.getoption("timeout") or 0)
            if seconds:
                item.obj = _ending(item.obj, seconds * _OF_ITS_TIME)


def _ending(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Any]:
    @functools.wraps(test)
    async def ending(*arguments: object, **fixtures: object) -> None:
        with anyio.fail_after(seconds):
            await test(*arguments, **fixtures)

    return ending


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
