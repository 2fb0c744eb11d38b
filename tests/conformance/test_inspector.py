"""The MCP Inspector's command line, over every transport and in both eras."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.environment import MODULES, run

ROOT = Path(__file__).parents[2]
FIGURE = "import matplotlib.pyplot as plt; plt.plot([1, 4, 9]); plt.show(); 6 * 7"


@pytest.fixture(params=["legacy", "modern"])
def era(request: pytest.FixtureRequest) -> str:
    """The Inspector's word for it."""
    return request.param


@pytest.fixture(params=["stdio", "http", "sse"])
def config(request: pytest.FixtureRequest, address: str, era: str, tmp_path: Path) -> Path:
    """What the Inspector reads about a server."""
    match request.param:
        case "stdio":
            entry: dict[str, Any] = {
                "type": "stdio",
                "command": sys.executable,
                "args": ["-m", "aca_mcp", "serve"],
                "cwd": str(ROOT),
            }
        case "http":
            entry = {"type": "streamable-http", "url": f"{address}/mcp"}
        case _:
            entry = {"type": "sse", "url": f"{address}/sse"}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"python": {**entry, "protocolEra": era}}}))
    return path


def test_it_lists_and_calls_tools(config: Path, era: str) -> None:
    listed = {tool["name"] for tool in inspect(config, "tools/list")["tools"]}
    assert {"execute_python", "upload_file", "download_file", "restart_session"} <= listed
    arguments = json.dumps({"code": FIGURE})
    result = inspect(
        config, "tools/call", "--tool-name", "execute_python", "--tool-args-json", arguments
    )
    text, *rest = result["content"]
    assert "42" in text["text"]
    is_told_a_handle = era == "modern" and "/mcp" in config.read_text()
    assert ("ses_" in text["text"]) == is_told_a_handle
    images = [block for block in rest if block["type"] == "image"]
    assert [image["mimeType"] for image in images] == ["image/png"]
    assert images[0]["data"].startswith("iVBORw0KGgo")


def test_it_lists_resources(config: Path) -> None:
    assert isinstance(inspect(config, "resources/list")["resources"], list)


def inspect(config: Path, method: str, *arguments: str) -> dict[str, Any]:
    done = run(
        MODULES / ".bin" / "mcp-inspector",
        *("--cli", "--config", str(config), "--server", "python"),
        *("--method", method, "--format", "json", *arguments),
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    answer = json.loads(done.stdout)
    return answer.get("result", answer)
