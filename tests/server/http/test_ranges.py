"""Parts of a file: what a header asks for, and what is sent of a stream."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import SessionFileError
from aca_mcp.pool import FileEntry
from aca_mcp.server.http.ranges import asked_part, etag, part_of
from tests.support.streams import content


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-5", range(2, 6)),
        ("bytes=2-", range(2, 10)),
        ("Bytes=2-999", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-999", range(10)),
    ],
)
def test_one_range_is_the_part_it_names(header: str, part: range) -> None:
    assert asked_part(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", f"bytes={10**18}-"])
def test_a_range_beyond_the_end_is_empty(header: str) -> None:
    part = asked_part(header, 10)
    assert part is not None
    assert not part


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5"])
def test_an_empty_file_has_no_part(header: str) -> None:
    part = asked_part(header, 0)
    assert part is not None
    assert not part


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b", f"bytes={'9' * 40}-"],
)
def test_what_is_no_single_range_stands_for_the_whole(header: str) -> None:
    assert asked_part(header, 10) is None


@given(
    st.lists(st.binary(max_size=20), max_size=8),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(1, 9),
)
async def test_a_part_of_a_stream_is_that_part(
    chunks: list[bytes], start: int, length: int, piece: int
) -> None:
    whole = b"".join(chunks)
    part = range(min(start, len(whole)), min(start + length, len(whole)))
    pieces = [each async for each in part_of(content(*chunks), part, piece)]
    assert b"".join(pieces) == whole[part.start : part.stop]
    assert all(0 < len(each) <= piece for each in pieces)


async def test_a_stream_that_ends_early_is_said() -> None:
    with pytest.raises(SessionFileError, match="shorter"):
        _ = [each async for each in part_of(content(b"abc"), range(1, 5), 10)]


def test_a_tag_changes_with_time_and_size() -> None:
    early, late = (datetime(2026, 1, 1, 0, 0, 0, us, tzinfo=UTC) for us in (1, 2))
    entries = [FileEntry("x", "file", size, at) for size in (1, 2) for at in (early, late)]
    assert len({etag(entry) for entry in entries}) == 4
