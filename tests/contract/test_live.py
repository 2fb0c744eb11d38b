"""Live Azure is a way to reach a pool too, where somebody has one."""

from __future__ import annotations

import os

import pytest

from tests.contract.conftest import LIVE, WAYS


@pytest.mark.skipif(LIVE not in os.environ, reason=f"{LIVE} names no live pool")
def test_the_suite_runs_on_live_azure() -> None:
    """The other tests of this directory do: see docs/emulator.md."""
    assert "azure-live" in WAYS
