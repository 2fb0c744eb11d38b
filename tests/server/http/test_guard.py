"""Which Host and Origin headers are let in."""

from __future__ import annotations

import pytest

from aca_mcp.hosts import parse_hosts
from aca_mcp.server.http.guard import Guard

GUARD = Guard(
    parse_hosts("mcp.example.com, other:8443, [2001:db8::1]"),
    frozenset({"https://app.example.com"}),
)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", ""),
        ("localhost", ""),
        ("[::1]:8000", ""),
        ("[::1]", ""),
        ("LOCALHOST:1", ""),
        ("mcp.example.com", ""),
        ("MCP.example.com:8000", ""),
        ("other:8443", ""),
        ("[2001:DB8::1]:8443", ""),
        ("127.0.0.1:8000", "http://127.0.0.1:6274"),
        ("127.0.0.1:8000", "http://[::1]:6274"),
        ("localhost:8000", "http://localhost:6274"),
        ("mcp.example.com", "https://app.example.com"),
        ("127.0.0.1:8000", "https://app.example.com"),
    ],
)
def test_is_let_in(host: str, origin: str) -> None:
    assert GUARD.check(host, origin) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.",
        "other",
        "other:1",
        "[::1",
        ":8000",
        "127.0.0.1@evil.example",
        "2130706433",
        "mcp.example.com/",
        "mcp.example.com?",
        "mcp.example.com:http",
        "mcp.example.com:99999",
        "[2001:db8::2]",
    ],
)
def test_another_host_is_misdirected(host: str) -> None:
    refusal = GUARD.check(host, "")
    assert refusal is not None
    assert refusal.status == 421
    assert "ACA_MCP_ALLOWED_HOSTS" in refusal.sentence


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "https://evil.example"),
        ("127.0.0.1:8000", "null"),
        ("127.0.0.1:8000", "http://localhost.evil.example"),
        ("127.0.0.1:8000", "http://[evil"),
        ("mcp.example.com", "http://localhost:6274"),
        ("mcp.example.com", "https://app.example.com.evil.example"),
        ("mcp.example.com", "http://app.example.com"),
    ],
)
def test_another_origin_is_forbidden(host: str, origin: str) -> None:
    refusal = GUARD.check(host, origin)
    assert refusal is not None
    assert refusal.status == 403
    assert "ACA_MCP_ALLOWED_ORIGINS" in refusal.sentence
