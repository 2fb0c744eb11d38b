"""Where the oldest Python is that what we send must run in."""

from __future__ import annotations

from pathlib import Path

PYTHON = Path(__file__).parents[2] / ".venv-oldest" / "bin" / "python"
