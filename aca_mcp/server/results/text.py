"""Text that a session wrote, made safe and short enough to show. Pure.

What comes out of a session is hostile: it may hold terminal escapes, text that runs backwards, and
more characters than a model can read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]?"  # the rest
)
_MOVES = re.compile(r"[\r\b\v\f]|\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[78DEMc])")
"""What moves the cursor, or erases: all that is for a screen and no colour."""
# Controls but for tab and newline, and what changes the direction of text; unpaired surrogates
# cannot be encoded.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
_MAX_EQUAL = 5
"""Lines one after the other that are shown as they are."""
_MAX_PERIOD = 12
"""Lines that are looked at together."""
_TAIL_SHARE = 0.4
"""How much of the room the end of a text gets; the beginning has the rest."""


def clean(text: str) -> str:
    """The text as a terminal would leave it on the screen, without colours and controls.

    Of what was written over, as progress bars do, the last state remains. Characters that change
    the direction of text are shown as escapes. Takes its time for a long text.
    """
    if _UNSAFE.search(text) is None:
        return text
    text = text.replace("\r\n", "\n")
    if _MOVES.search(text):
        from aca_mcp.server.results.terminal import screen_text  # seldom needed

        text = screen_text(text)
    else:
        text = _without_escapes(text)
    return _UNSAFE.sub(_escaped, _CONTROLS.sub("", text))


def _without_escapes(text: str) -> str:
    """In steps, between which other threads have their turn: a pattern alone would not let go."""
    kept: list[str] = []
    end = 0
    for escape in _ESCAPES.finditer(text):
        kept.append(text[end : escape.start()])
        end = escape.end()
    return "".join((*kept, text[end:]))


def fold(text: str) -> str:
    """The text with one line in the place of many equal ones, and how many there were.

    The same for a few lines together that come again and again, as those of a warning do.
    """
    return "\n".join(fold_all(text.split("\n")))


def fold_all(pieces: Sequence[str]) -> list[str]:
    """The same for texts that will stand one below the other."""
    folded: list[str] = []
    at = 0
    while at < len(pieces):
        period, count = _repeated(pieces, at)
        shown = pieces[at : at + period]
        folded += shown
        if count > 1:
            number = sum(piece.count("\n") + 1 for piece in shown)
            what = "line" if number == 1 else f"{number:,} lines"
            folded.append(f"[the {what} above {count:,} times in all]")
        at += period * count
    return folded


def _repeated(lines: Sequence[str], at: int) -> tuple[int, int]:
    """How many lines from a place on are repeated, and how often; one, once, if not often."""
    for period in range(1, min(_MAX_PERIOD, len(lines) - at - 1) + 1):
        if lines[at] != lines[at + period] or not any(map(str.strip, lines[at : at + period])):
            continue  # blank lines are shown as they are
        end = at + 1
        while end + period < len(lines) and lines[end] == lines[end + period]:
            end += 1
        count = (end - at) // period + 1
        if count > _MAX_EQUAL:
            return period, count
    return 1, 1


def show_name(name: str) -> str:
    """A file name on one line: whatever is not printable is shown as an escape."""
    if name.isprintable() and name == name.strip():
        return name
    return ascii(name)


def cut(text: str, max_bytes: int, remark: str = "") -> str:
    """The beginning and the end of a text that is too long, with a line between them.

    Args:
        text: what to shorten.
        max_bytes: the room there is, in UTF-8; the line between comes on top.
        remark: what the line says besides how much is missing.

    Returns:
        The text itself if it fits.
    """
    if len(text) * 4 <= max_bytes:
        return text
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    tail_bytes = int(max_bytes * _TAIL_SHARE)
    head = encoded[: max_bytes - tail_bytes].decode(errors="ignore")
    tail = encoded[len(encoded) - tail_bytes :].decode(errors="ignore")
    # Whole lines are easier to read, where a line is not most of the text.
    if (end := head.rfind("\n")) > len(head) // 2:
        head = head[:end]
    if 0 <= (begin := tail.find("\n")) < len(tail) // 2:
        tail = tail[begin + 1 :]
    missing = len(encoded) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[... {missing:,} bytes left out{remark} ...]\n{tail}"


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
