"""Sessions wait longer for a checkpoint the more of them are in use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.local.checkpoint_pacing import CheckpointPacing

CALLS = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 3)), max_size=120)


@given(calls=CALLS)
def test_the_pause_is_the_sessions_in_use_for_each_five_of_a_processor(
    calls: list[tuple[int, float]],
) -> None:
    pacing, now = CheckpointPacing(2), 0.0
    last: dict[str, float] = {}
    for number, pause in calls:
        now += pause
        last[str(number)] = now
        in_use = sum(at >= now - 2 for at in last.values())
        assert pacing.begins(str(number), now) == max(1, in_use / 10)


def test_one_session_never_waits_longer_however_often_it_is_called() -> None:
    pacing = CheckpointPacing(1)
    assert {pacing.begins("one", number / 1000) for number in range(5000)} == {1.0}
