"""Sessions are looked after side by side, and none of them can keep the others from it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.server.sessions.upkeep import Upkeep
from tests.support.foreign_errors import foreign_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def attended(
    names: list[str], attend: Callable[[str], Awaitable[None]], *, until: Callable[[], bool]
) -> None:
    """Run an upkeep with short intervals until something is so."""
    upkeep = Upkeep(lambda: names, attend, interval_seconds=0.01, patience_seconds=0.2)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upkeep.run)
            while not until():  # noqa: ASYNC110 -- what is waited for tells nobody
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()


async def test_many_that_hang_do_not_hold_up_one_that_does_not() -> None:
    counts: Counter[str] = Counter()

    async def attend(name: str) -> None:
        counts[name] += 1
        if name != "healthy":
            await anyio.sleep_forever()

    hanging = [f"hanging {number}" for number in range(200)]
    await attended([*hanging, "healthy"], attend, until=lambda: counts["healthy"] >= 30)
    assert all(count < 30 for name, count in counts.items() if name != "healthy")


@pytest.mark.parametrize("error", foreign_errors(), ids=lambda error: type(error).__name__)
async def test_whatever_one_raises_the_others_go_on_and_it_is_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    counts: Counter[str] = Counter()

    async def attend(name: str) -> None:
        counts[name] += 1
        if name == "odd":
            raise error

    await attended(["odd", "healthy"], attend, until=lambda: min(counts.values(), default=0) > 3)
    assert counts["healthy"] > 3
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text


async def test_one_that_ends_while_others_are_attended_is_none_any_more() -> None:
    names = ["first", "second"]
    counts: Counter[str] = Counter()

    async def attend(name: str) -> None:
        counts[name] += 1
        if "second" in names:
            names.remove("second")

    await attended(names, attend, until=lambda: counts["first"] > 3)
    assert counts["second"] <= 1
