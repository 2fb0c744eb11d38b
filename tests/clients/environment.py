"""Where the published clients are installed."""

from __future__ import annotations

from pathlib import Path

PYTHON = Path(__file__).parents[2] / ".venv-clients" / "bin" / "python"
