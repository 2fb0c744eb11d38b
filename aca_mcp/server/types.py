"""What the signatures of several tools have in common. Their annotations become schemas."""

from typing import Any

from mcp.server.mcpserver import Context

# Described once, by start_session and the instructions: the list of tools takes room in a prompt.
SessionHandle = str
Ctx = Context[Any]
