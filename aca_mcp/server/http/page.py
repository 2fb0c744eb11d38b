"""What a person sees who opens the server's address in a browser."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>aca-mcp</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; }}
pre {{ background: #f4f4f4; padding: 1rem; overflow-x: auto; }}</style>
<h1>This is aca-mcp</h1>
<p>It is for MCP clients, which give a language model Python sessions by it. Nothing is to be seen
here with a browser. Give a client this address:</p>
<pre>{urls}</pre>
<p>{who}</p>
</html>
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class Page:
    """Answers ``GET /``. Tells nothing that whoever connects does not know already.

    Args:
        paths: of the endpoints that clients are given.
        is_authenticated: clients must say who they are.
    """

    def __init__(self, paths: Sequence[str], *, is_authenticated: bool) -> None:
        self._paths = paths
        self._who = (
            "Clients send <code>Authorization: Bearer TOKEN</code>, with a token that the server's "
            "owner gives out."
            if is_authenticated
            else "Clients need no token."
        )

    async def answer(self, request: Request) -> Response:
        """The page, with the addresses as the browser reached them."""
        base = str(request.base_url).rstrip("/")
        urls = html.escape("\n".join(base + path for path in self._paths))
        return HTMLResponse(_PAGE.format(urls=urls, who=self._who), headers=_HEADERS)
