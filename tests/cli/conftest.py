"""A person's home, for commands that change what is in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURES = ("ACA_MCP_", "AZURE_", "CODEX_", "HTTPS_", "SSL_", "WSL_", "XDG_")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, and a bare environment."""
    for name in os.environ:
        if name.startswith(_CONFIGURES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path
