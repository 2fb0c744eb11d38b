"""One piece of code at a time: whoever comes meanwhile waits, in order, and not for ever."""

from __future__ import annotations

import anyio
import pytest

from aca_mcp.turn import Turn, Waited


def in_seconds(seconds: float) -> float:
    return anyio.current_time() + seconds


async def test_turns_come_in_the_order_of_asking() -> None:
    turn, order = Turn(), list[int]()

    async def take(number: int) -> None:
        async with turn.take(in_seconds(30)) as waited:
            assert waited is Waited.TAKEN
            order.append(number)

    async with anyio.create_task_group() as tasks, turn.take(in_seconds(30)):
        assert turn.is_taken
        for number in range(5):
            tasks.start_soon(take, number)
            await anyio.wait_all_tasks_blocked()
        assert order == []
    assert order == [0, 1, 2, 3, 4]
    assert not turn.is_taken


async def test_waiting_ends_at_the_deadline_and_leaves_the_turn_to_others() -> None:
    turn, told = Turn(), list[Waited]()

    async def wait() -> None:
        async with turn.take(in_seconds(0.01)) as waited:
            told.append(waited)
            assert turn.is_taken

    async with turn.take(in_seconds(30)):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
        assert turn.is_taken
    async with turn.take(in_seconds(30)) as waited:
        assert (told, waited) == ([Waited.TOO_LATE], Waited.TAKEN)


async def test_a_turn_that_is_free_is_taken_even_past_the_deadline() -> None:
    async with Turn().take(in_seconds(-1)) as waited:
        assert waited is Waited.TAKEN


async def test_whoever_waited_is_told_that_the_session_has_ended_meanwhile() -> None:
    turn, told = Turn(), list[Waited]()

    async def wait() -> None:
        async with turn.take(in_seconds(30)) as waited:
            told.append(waited)

    async with anyio.create_task_group() as tasks, turn.take(in_seconds(30)):
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        turn.end()
    assert told == [Waited.SESSION_ENDED]
    assert not turn.is_taken


async def test_code_that_fails_or_is_cancelled_gives_its_turn_back() -> None:
    turn = Turn()
    with pytest.raises(ValueError, match="code"):
        async with turn.take(in_seconds(30)):
            raise ValueError("code")
    with anyio.CancelScope() as scope:
        async with turn.take(in_seconds(30)):
            scope.cancel()
            await anyio.sleep_forever()
    assert not turn.is_taken
