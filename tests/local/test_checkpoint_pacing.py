"""However many sessions are in use, copies take no more of the processors than they may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.local.checkpoint_pacing import CheckpointPacing

CALLS = st.lists(st.tuples(st.integers(0, 60), st.floats(0, 0.5)), max_size=150)


@given(calls=CALLS, processors=st.integers(1, 4))
def test_turns_are_one_a_second_for_each_processor_and_five_at_once(
    calls: list[tuple[int, float]], processors: int
) -> None:
    pacing, now = CheckpointPacing(processors), 0.0
    last: dict[int, float] = {}
    turns: list[float] = []
    for number, pause in calls:
        now += pause
        turn = now + pacing.begins(str(number), now)
        # One that has come is its session's for a quarter of a second more.
        if number not in last or turn > max(last[number] + 0.3, now) or last[number] < now - 0.3:
            turns.append(turn)
        last[number] = turn
    turns.sort()
    for index, begin in enumerate(turns):
        within_a_second = [turn for turn in turns[index:] if turn < begin + 1]
        assert len(within_a_second) <= (1 + 5) * processors + 1


@given(calls=CALLS)
def test_a_session_keeps_its_turn_until_it_has_come(calls: list[tuple[int, float]]) -> None:
    pacing, now = CheckpointPacing(1), 0.0
    turns: dict[int, float] = {}
    for number, pause in calls:
        now += pause
        turn = now + pacing.begins(str(number), now)
        if turns.get(number, 0) > now:
            assert abs(turn - turns[number]) < 1e-6
        turns[number] = turn


def test_one_session_waits_for_nobody_but_itself() -> None:
    pacing = CheckpointPacing(2)
    assert {pacing.begins("one", number / 2) for number in range(100)} == {0.0}
    assert max(pacing.begins("one", 50 + number / 1000) for number in range(9000)) <= 0.5


def test_of_two_hundred_sessions_called_each_second_none_waits_longer_than_it_takes_for_all() -> (
    None
):
    pacing = CheckpointPacing(2)
    waits = [
        pacing.begins(str(number), second + number / 200)
        for second in range(100)
        for number in range(200)
    ]
    assert max(waits) <= 200 / 2
    assert min(waits[200:]) == 0
