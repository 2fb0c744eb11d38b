"""Waits between attempts are real, and short."""

from __future__ import annotations

import pytest

from aca_mcp.azure import client, executions


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of jitter would be most of the time that these tests take."""
    monkeypatch.setattr(client, "_FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(client, "_LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(executions, "_FIRST_POLL_SECONDS", 0.001)
