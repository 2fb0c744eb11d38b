"""What reaches stderr says where something went wrong, and nothing that a client sent."""

from __future__ import annotations

import io
import logging

import pytest

from aca_mcp.cli.logs import DiscreetFormatter, RepetitionFilter


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


def test_the_same_is_not_said_for_ever(log: io.StringIO) -> None:
    now = [0.0]
    logger = logging.getLogger("aca_mcp.repeating")
    handler = logging.StreamHandler(log)
    handler.addFilter(RepetitionFilter(lambda: now[0]))
    logger.addHandler(handler)
    for number in range(100):
        logger.warning("Refused: %d", number)
    logger.warning("Something else")
    lines = log.getvalue().splitlines()
    assert lines[:9] == [f"Refused: {number}" for number in range(9)]
    assert lines[9:] == ["Refused: 9 (This is not said again for a minute.)", "Something else"]
    now[0] = 60
    logger.warning("Refused: %d", 100)
    assert log.getvalue().splitlines()[11:] == ["Refused: 100"]
