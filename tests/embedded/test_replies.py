"""What a session says of its packages is read with suspicion: rows, or a ``FrameError``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.embedded.replies import parse_package_rows, parse_packages
from aca_mcp.kernel.message_framing import Frame, FrameError
from aca_mcp.pool import Package

any_text = st.text(st.characters(exclude_categories=()), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner),
    max_leaves=15,
)


@given(st.dictionaries(st.just("packages") | any_text, json_values))
def test_any_reply_is_packages_or_refused(header: dict[str, object]) -> None:
    try:
        packages = parse_packages(Frame(header))
    except FrameError:
        return
    for package in packages:
        f"{package.name}{package.version}".encode()


def test_rows_are_names_and_versions() -> None:
    rows: list[list[object]] = [["a", "1", []], ["b", "2\udc80", ["c"] * 99]]
    assert parse_package_rows(rows) == (
        Package("a", "1"),
        Package("b", "2\\udc80", ("c",) * 10),
    )


@pytest.mark.parametrize(
    "rows", [None, {}, [1], [["a"]], [["a", 1]], [["a", "1", "2"]], [["a", "1"]]]
)
def test_other_rows_are_refused(rows: object) -> None:
    with pytest.raises(FrameError):
        parse_package_rows(rows)
