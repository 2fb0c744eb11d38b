"""The MCP server over HTTP: streamable HTTP and SSE, for one user or for many."""
