"""What a person reads of the Azure pool."""

from __future__ import annotations

import pytest

from tests.azure.shown_answers import Terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)
