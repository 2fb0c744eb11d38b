"""Published clients live in an environment of their own: ``scripts/clients`` makes it."""

from __future__ import annotations

from tests.clients.environment import MCP_PYTHON, NODE_MODULES, PYTHON

collect_ignore = [
    *([] if PYTHON.exists() else ["test_clients.py"]),
    *([] if MCP_PYTHON.exists() else ["test_mcp_clients.py"]),
    *([] if NODE_MODULES.exists() else ["test_node_clients.py"]),
]
