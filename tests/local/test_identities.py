"""Users for root's sessions: which there are, who has them, and that no two sessions share one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.identities import Block, Identities, possible_blocks, reserve_identities
from aca_mcp.local.pool import open_local_pool
from tests.local.pools import configuration, run
from tests.support.processes import descendants

WHOLE = "         0          0 4294967295\n"
CONTAINER = "         0     100000      65536\n"


def test_users_are_none_that_a_system_hands_out() -> None:
    """Not the dynamic users of services, not those of containers, not those of people."""
    first = possible_blocks(WHOLE)[0]
    assert first > 1_879_048_191  # the last that systemd gives to containers
    assert len(possible_blocks(WHOLE)) == 8192


def test_in_a_container_with_few_users_they_are_among_those() -> None:
    blocks = possible_blocks(CONTAINER)
    assert blocks
    assert all(62_000 <= first < first + blocks.step < 65_000 for first in blocks)
    assert not possible_blocks("0 1000 1\n")
    assert not possible_blocks("")


def test_a_user_is_had_by_one_session_and_used_again_last() -> None:
    identities = Identities(Block(1000, 4))
    first, second = identities.take(), identities.take()
    assert [first.user, second.user] == [1001, 1002]
    identities.give_back(first)
    assert identities.take().user == 1003
    assert identities.take().user == 1001
    with pytest.raises(PoolUnavailableError, match="All 3 users"):
        identities.take()


def test_no_two_servers_have_the_same_block() -> None:
    blocks = range(7_000_000, 7_000_030, 10)
    with ExitStack() as stack:
        taken = {stack.enter_context(reserve_identities(blocks)).block for _ in blocks}
        assert taken == {Block(first, 10) for first in blocks}
        with pytest.raises(PoolUnavailableError, match="Other servers"):
            stack.enter_context(reserve_identities(blocks))
    with reserve_identities(blocks[:1]) as again:
        assert again.block.first == blocks[0]
    with pytest.raises(PoolUnavailableError, match="fewer users"), reserve_identities(range(0)):
        pass


def users_of(processes: set[int]) -> list[int]:
    return [Path(f"/proc/{process}").stat().st_uid for process in processes]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to give")
async def test_every_session_is_another_user_also_of_another_pool() -> None:
    strangers = descendants()
    async with (
        open_local_pool(configuration()) as one,
        open_local_pool(configuration()) as two,
    ):
        for pool in (one, two):
            for number in range(3):
                await run(pool, f"session-{number}", "1")
        users = users_of(descendants(without=strangers))
        # Of each pool the template and three sessions; nobody is root.
        assert len(set(users)) == 2 * (1 + 3)
        assert os.geteuid() not in users
