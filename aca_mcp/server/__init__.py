"""The MCP surface: tools over a session pool. It knows the port, and no implementation of it."""
