"""The order in which streams were written, as far as their session could count it.

A session counts what Python writes. What other processes write besides comes in the same text,
uncounted; each counted piece is then found by its last characters, or its last line. What is
left at the end was written before the value was there. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aca_mcp.reports.building import Piece, Streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aca_mcp.execution import StreamName, StreamText
    from aca_mcp.reports.events import Report

BEHIND_ALL = 10**9
"""A place behind all marks."""
_MAX_PIECES = 5000
_MAX_END = 32
_MAX_LATE = 2**15
_STREAMS: Mapping[str, StreamName] = {"stdout": "stdout", "stderr": "stderr"}


@dataclass(frozen=True, slots=True)
class Counted:
    """So many characters written to a stream."""

    place: int
    stream: StreamName
    characters: int
    end: str
    """The last of them."""
    state: str
    """``cleared`` if they are to be forgotten, ``late`` if earlier code wrote what ``end`` has,
    whole: the stream has nothing of that.
    """


def counted_pieces(report: Report) -> list[Counted]:
    """What was written to the streams, in the order of writing; empty if that is not told."""
    told = report.about.get("pieces")
    pieces = cast("list[object]", told) if isinstance(told, list) else []
    found = [_read(piece) for piece in pieces[:_MAX_PIECES]]
    return [piece for piece in found if piece is not None]


def in_order(
    stdout: StreamText,
    stderr: StreamText,
    counted: Sequence[Counted],
    value_place: int | None = None,
) -> Streams:
    """Both streams, without what was cleared, and their pieces in the order of writing.

    Of a stream whose middle was not kept nothing can be placed.

    Args:
        stdout: all of it.
        stderr: all of it.
        counted: what the session counted of them.
        value_place: where the code's value stands, if it has one.
    """
    whole: dict[StreamName, StreamText] = {"stdout": stdout, "stderr": stderr}
    texts: dict[StreamName, str] = {
        name: text.head for name, text in whole.items() if not text.omitted_bytes
    }
    counted = [piece for piece in counted if piece.stream in texts]
    totals: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
    for piece in counted:
        totals[piece.stream] += piece.characters
    reached: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
    shown: dict[StreamName, list[str]] = {"stdout": [], "stderr": []}
    pieces: list[Piece] = []
    for piece in counted:
        if piece.state == "late":
            shown[piece.stream].append(piece.end)
            pieces.append(Piece(piece.place, piece.stream, len(piece.end), late=True))
            continue
        text, start = texts[piece.stream], reached[piece.stream]
        end = start + piece.characters
        if totals[piece.stream] != len(text) and piece.end:
            end = _end_of(piece, text, start)
        part = text[start:end]
        reached[piece.stream] = end
        if part and piece.state != "cleared":
            shown[piece.stream].append(part)
            pieces.append(Piece(piece.place, piece.stream, len(part)))
    for name, text in texts.items():
        rest = text[reached[name] :]
        if rest and value_place is not None:
            last = max((each.place for each in pieces if each.stream == name), default=0)
            pieces.append(Piece(max(value_place - 1, last), name, len(rest)))
        whole[name] = whole[name]._replace(head="".join([*shown[name], rest]))
    return Streams(whole["stdout"], whole["stderr"], tuple(pieces))


def _end_of(piece: Counted, text: str, start: int) -> int:
    """Where a piece ends in a text that has more than was counted, or less."""
    end = start + piece.characters
    for known in (piece.end, piece.end.splitlines(keepends=True)[-1]):
        found = text.find(known, max(end - len(known), start))
        if found >= 0:
            return found + len(known)
    # It was cut, or went elsewhere, as where code put something else in the stream's place.
    return len(text) if end > len(text) else start


def _read(piece: object) -> Counted | None:
    match piece:
        case [int(place), str(name), int(count), str(end), str(state)] if name in _STREAMS:
            stream = _STREAMS[name]
            if state == "late":
                return Counted(max(place, 0), stream, 0, end[:_MAX_LATE], state)
            return Counted(max(place, 0), stream, max(count, 0), end[:_MAX_END], state[:10])
        case _:
            return None
