"""Published clients of MCP, unmodified, against the server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.environment import MCP_PYTHON
from tests.server.http.serving import server_process

FLOW = Path(__file__).parent / "flows" / "langchain_mcp_flow.py"


@pytest.mark.timeout(120)
def test_an_agent_framework_gets_the_tools_over_every_transport() -> None:
    with server_process([], "--transport", "http,sse") as (address, _):
        done = subprocess.run(
            [MCP_PYTHON, FLOW, sys.executable, address],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
