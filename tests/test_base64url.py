"""Bytes as text for URLs: every bytes have one text, and no other text is taken for them."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp import base64url


@given(st.binary(max_size=64))
def test_bytes_come_back_from_a_text_that_needs_no_escape(data: bytes) -> None:
    text = base64url.encode(data)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    assert base64url.decode(text) == data


@given(st.binary(min_size=1, max_size=16), st.data())
def test_another_text_for_the_same_bytes_is_refused(data: bytes, draw: st.DataObject) -> None:
    text = base64url.encode(data)
    at = draw.draw(st.integers(0, len(text)))
    other = text[:at] + draw.draw(st.sampled_from(["=", " ", "\n", "+", "é", "*"])) + text[at:]
    with pytest.raises(ValueError, match=r"\w"):
        base64url.decode(other)


@given(st.text(max_size=40))
def test_any_other_text_is_refused_as_such(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert base64url.encode(base64url.decode(text)) == text
