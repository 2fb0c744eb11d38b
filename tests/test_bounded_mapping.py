"""A mapping that forgets, against a plain list of what was used last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.bounded_mapping import BoundedMapping

KEYS = st.integers(0, 6)


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), KEYS), max_size=40))
def test_those_set_or_used_last_are_kept(most: int, steps: list[tuple[bool, int]]) -> None:
    mapping: BoundedMapping[int, str] = BoundedMapping(most)
    last: list[int] = []
    for sets, key in steps:
        if sets:
            mapping[key] = "set"
        else:
            mapping.used(key, lambda: "made")
        last = [*(each for each in last if each != key), key][-most:]
        assert list(mapping) == last


@given(st.lists(KEYS, max_size=20))
def test_what_is_needed_stays_however_many_come(keys: list[int]) -> None:
    mapping: BoundedMapping[int, int] = BoundedMapping(2, is_needed=lambda value: value == 0)
    mapping[0] = 0
    for key in keys:
        mapping[key] = key
    assert 0 in mapping
