"""What a person sees who opens the emulator in a browser."""

from __future__ import annotations

import html

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>aca-mcp emulator</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; }}
pre {{ background: #f4f4f4; padding: 1rem; overflow-x: auto; }}</style>
<h1>This is the aca-mcp emulator</h1>
<p>It serves the data-plane API of Azure Container Apps dynamic sessions on this machine. Give a
client this address as its pool management endpoint, and any token:</p>
<pre>{base}</pre>
<p>Try it:</p>
<pre>curl -H 'Authorization: Bearer any' -H 'Content-Type: application/json' \\
  -d '{{"code": "1 + 1"}}' \\
  '{base}/executions?api-version=2025-10-02-preview&amp;identifier=test'</pre>
</html>
"""


def page(base: str) -> str:
    """The page.

    Args:
        base: the emulator's own address.
    """
    return _PAGE.format(base=html.escape(base))
