"""What the tests of authentication share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.auth.issuer import Issuer, IssuerHost, open_issuers
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@pytest.fixture(scope="module")
async def issuers(anyio_backend: str) -> AsyncGenerator[IssuerHost]:
    """A host of OIDC issuers."""
    async with open_issuers() as host:
        yield host


@pytest.fixture
def issuer(issuers: IssuerHost) -> Issuer:
    """An issuer of the test's own."""
    return issuers.issuer()


@pytest.fixture
def clock() -> Clock:
    """The age of keys goes by it."""
    return Clock()
