"""Frames: what one end sends the other reads, in any pieces, and no lie goes further."""

from __future__ import annotations

import json
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.kernel.message_framing import (
    MAX_BLOB_BYTES,
    MAX_HEADER_BYTES,
    Frame,
    FrameDecoder,
    FrameError,
    encode,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
headers = st.dictionaries(st.text(max_size=8).filter(lambda key: key != "blobs"), json_values)
any_frames = st.builds(Frame, headers, st.lists(st.binary(max_size=100), max_size=4).map(tuple))


def wire(header: object, blobs: bytes = b"") -> bytes:
    """A frame with whatever header, its lengths true."""
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">II", len(data), len(blobs)) + data + blobs


def refusal(data: bytes) -> str:
    with pytest.raises(FrameError) as refused:
        list(FrameDecoder().feed(data))
    return str(refused.value)


@given(st.lists(any_frames, max_size=4), st.data())
def test_frames_arrive_as_they_were_sent_in_whatever_pieces(
    sent: list[Frame], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, sent))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    decoder = FrameDecoder()
    received: list[Frame] = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        received += decoder.feed(stream[start:end])
    assert received == sent


@given(any_frames, st.data())
def test_a_frame_cut_short_is_waited_for(frame: Frame, data: st.DataObject) -> None:
    stream = encode(frame)
    length = data.draw(st.integers(0, len(stream) - 1))
    assert list(FrameDecoder().feed(stream[:length])) == []


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused_as_such(data: bytes) -> None:
    try:
        found = list(FrameDecoder().feed(data))
    except FrameError:
        return
    assert all(isinstance(frame, Frame) for frame in found)


@given(json_values, st.binary(max_size=20))
def test_any_header_is_a_frame_or_refused_as_such(header: object, blobs: bytes) -> None:
    try:
        found = list(FrameDecoder().feed(wire(header, blobs)))
    except FrameError:
        return
    assert len(found) == 1


@given(json_values, st.binary(max_size=20))
def test_any_lengths_of_attachments_add_up_or_are_refused(lengths: object, blobs: bytes) -> None:
    try:
        (frame,) = FrameDecoder().feed(wire({"blobs": lengths}, blobs))
    except FrameError:
        return
    assert b"".join(frame.blobs) == blobs


def test_a_memoryview_will_do() -> None:
    assert list(FrameDecoder().feed(memoryview(wire({"a": 1})))) == [Frame({"a": 1})]


def test_a_header_that_says_nothing_of_attachments_has_none() -> None:
    assert list(FrameDecoder().feed(wire({"a": 1}))) == [Frame({"a": 1}, ())]


@pytest.mark.parametrize(
    ("lengths", "blobs", "sentence"),
    [
        ([3], b"12", "the attachments' lengths do not add up"),
        ([1], b"12", "the attachments' lengths do not add up"),
        ([4, -2], b"12", "an attachment's length is not a number"),
        (["2"], b"12", "an attachment's length is not a number"),
        ([None], b"", "an attachment's length is not a number"),
        ({"2": 2}, b"12", "a frame's attachments have no lengths, or are too many"),
        (2, b"12", "a frame's attachments have no lengths, or are too many"),
    ],
)
def test_lies_about_attachments_are_refused(lengths: object, blobs: bytes, sentence: str) -> None:
    assert refusal(wire({"blobs": lengths}, blobs)) == sentence


@pytest.mark.parametrize("header", [b"", b"{", b"\xff\xfe\xfd", b"{}{}", b"'a'"])
def test_a_header_that_is_not_json_is_refused(header: bytes) -> None:
    assert refusal(wire(header)) == "a frame's header is not JSON"


@pytest.mark.parametrize("header", [1, "text", [], None, True])
def test_a_header_that_is_not_an_object_is_refused(header: object) -> None:
    assert refusal(wire(header)) == "a frame's header is not an object"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_header_nested_without_end_is_refused(opening: bytes) -> None:
    assert refusal(wire(opening * 200_000)) == "a frame's header is not JSON"


@pytest.mark.parametrize("lengths", [(MAX_HEADER_BYTES + 1, 0), (2, MAX_BLOB_BYTES + 1)])
def test_a_frame_that_announces_too_much_is_refused_before_it_comes(
    lengths: tuple[int, int],
) -> None:
    assert refusal(struct.pack(">II", *lengths)) == "a frame announces more than is allowed"


def test_a_frame_that_the_other_end_would_refuse_is_not_made() -> None:
    with pytest.raises(FrameError, match=r"^the frame is too large$"):
        encode(Frame({"a": "x" * MAX_HEADER_BYTES}))
    with pytest.raises(FrameError, match=r"^the frame is too large$"):
        encode(Frame({}, [bytes(MAX_BLOB_BYTES // 2 + 1)] * 2))
