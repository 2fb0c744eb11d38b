"""What reaches stderr says where something went wrong, and nothing that a client sent."""

from __future__ import annotations

import io
import logging

import pytest

from aca_mcp.cli.logs import DiscreetFormatter


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize("name", ["mcp", "mcp.server.sse"])
def test_the_sdk_tells_no_identifier_and_no_content(log: io.StringIO, name: str) -> None:
    logger = logging.getLogger(name)
    handler = logging.StreamHandler(log)
    handler.setFormatter(DiscreetFormatter())
    logger.addHandler(handler)
    logger.warning("Rejecting message for session %s", "canary")
    error = ValueError("canary")
    logger.error("Session canary crashed", exc_info=error)
    first, second = log.getvalue().splitlines()
    assert "canary" not in log.getvalue()
    assert f"a fault ({name}, line" in first
    assert "ValueError" in second


def test_others_are_left_as_they_are(log: io.StringIO) -> None:
    logger = logging.getLogger("aca_mcp.server")
    handler = logging.StreamHandler(log)
    handler.setFormatter(DiscreetFormatter())
    logger.addHandler(handler)
    logger.warning("Calls are ended: %d", 3)
    assert log.getvalue() == "Calls are ended: 3\n"
