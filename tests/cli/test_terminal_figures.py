"""``aca-mcp exec`` at terminals that can show pixels, and at one that cannot."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, cast

import pexpect
import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CODE = "from PIL import Image; print('begun'); Image.new('RGB', (64, 32), 'red')"
_QUESTIONS = (rb"\x1b\[c", rb"\x1b_G\w*[^\x1b]*a=q[^\x1b]*\x1b\\", rb"\x1b\[16t")
"""What it is, whether it knows kitty's protocol, and how large a character is."""


def shown(terminal: Any, *, attributes: bytes, knows_kitty: bool) -> bytes:
    """What a terminal is sent that answers questions."""
    written = b""
    while (question := terminal.expect([*_QUESTIONS, pexpect.EOF])) < len(_QUESTIONS):
        written += terminal.before
        if question == 0:
            terminal.send(b"\x1b[?62" + attributes + b"c")
        elif question == 2:
            terminal.send(b"\x1b[6;20;10t")
        elif knows_kitty and (number := re.search(rb"i=(\d+)", terminal.after)):
            terminal.send(b"\x1b_Gi=" + number[1] + b";OK\x1b\\")
    return written + terminal.before


@pytest.mark.parametrize(
    ("attributes", "knows_kitty", "picture"),
    [
        pytest.param(b";4", False, rb"\x1bP.*q.*\x1b\\", id="sixel, as iTerm2 and others"),
        pytest.param(b"", True, rb"\x1b_G[^\x1b]*f=100[^\x1b]*;iVBOR", id="kitty"),
        pytest.param(b"", False, None, id="no pixels"),
    ],
)
def test_a_figure_is_saved_and_shown_where_the_terminal_can(
    attributes: bytes, knows_kitty: bool, picture: bytes | None, tmp_path: Path
) -> None:
    terminal: Any = cast("Any", pexpect).spawn(
        sys.executable,
        ["-m", "aca_mcp", "exec", _CODE],
        timeout=30,
        cwd=str(tmp_path),
        env={**os.environ, "TERM": "xterm-256color"},
    )
    try:
        written = shown(terminal, attributes=attributes, knows_kitty=knows_kitty)
    finally:
        terminal.close()
    assert terminal.exitstatus == 0
    assert written.startswith(b"begun\r\naca-mcp: saved figure-1.png\r\n")
    assert (tmp_path / "figure-1.png").read_bytes().startswith(b"\x89PNG")
    if picture is None:
        assert b"\x1b" not in written
    else:
        assert re.search(picture, written, re.DOTALL)
