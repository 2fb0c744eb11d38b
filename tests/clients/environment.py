"""Where the published clients are installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
NODE_MODULES = ROOT / ".cache" / "clients" / "node_modules"
MCP_PYTHON = ROOT / ".venv-clients-mcp" / "bin" / "python"
