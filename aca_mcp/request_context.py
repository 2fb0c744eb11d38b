"""For whom a request is served: told by who serves people, asked by who counts and records.

Between the two lies the port, which knows sessions alone. The value follows a request into the
tasks that it starts, such as code that goes on in the background.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


class PackageRecord(Protocol):
    """Records one request for packages."""

    def __call__(
        self,
        identifier: str,
        packages: Sequence[str],
        *,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Record it.

        Args:
            identifier: of the session that asked.
            packages: as they were asked for; they may come from hostile code.
            seconds: how long it took.
            error: why nothing was installed; None if it went well.
        """
        ...


class RequestContext(NamedTuple):
    """For whom a request is served."""

    principal: str = ""
    """Who it is; empty where people are not told apart."""
    record_packages: PackageRecord | None = None
    """Where requests for packages are recorded, if they are."""


_NOBODY = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request_context", default=_NOBODY)


def request_context() -> RequestContext:
    """For whom this task works."""
    return _current.get()


@contextmanager
def serving(
    *, principal: str | None = None, record_packages: PackageRecord | None = None
) -> Generator[None]:
    """Say for whom the block works; what is not given stays as it was."""
    told = _current.get()
    token = _current.set(
        RequestContext(
            told.principal if principal is None else principal,
            record_packages or told.record_packages,
        )
    )
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def recording_packages(identifier: str, packages: Sequence[str]) -> Generator[None]:
    """Record the request for packages that the block answers or refuses, where that is done.

    Args:
        identifier: of the session that asks.
        packages: as they are asked for.
    """
    started, failure = time.monotonic(), None
    try:
        yield
    except BaseException as error:
        failure = error
        raise
    finally:
        if (record := request_context().record_packages) is not None:
            record(identifier, packages, seconds=time.monotonic() - started, error=failure)
