"""The official TypeScript client, over every transport and in both eras."""

from __future__ import annotations

import os
import sys

import pytest

from tests.conformance.environment import HERE, run


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("transport", ["stdio", "http", "sse"])
def test_it_gets_along(transport: str, era: str, address: str) -> None:
    path = {"http": "mcp", "sse": "sse"}.get(transport)
    where = f"{address}/{path}" if path else os.fspath(sys.executable)
    done = run("node", HERE / "matrix.mjs", transport, era, where)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    assert "all well" in done.stdout
