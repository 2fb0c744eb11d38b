"""The limits that a person reads of are those that hold, also where no setting names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aca_mcp.azure.code_wrapping import wrap
from aca_mcp.embedded import machine_memory
from aca_mcp.packages import fetching, request_limits, store

ROOT = Path(__file__).parents[2]


def words_of(page: str) -> str:
    """A page without its line breaks."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def test_the_share_of_the_machine_s_memory_is_the_one_that_is_told() -> None:
    assert "a quarter of the machine's memory, at most 8 GiB" in words_of("README.md")
    small, large = (machine_memory.share_of(gib * 2**30, []) for gib in (8, 64))
    assert (small, large) == (8 * 1024 // 4, 8 * 1024)


@pytest.mark.parametrize(
    "figure",
    [
        f"{fetching.MAX_SET_PACKAGES} packages and {fetching.MAX_SET_BYTES // 2**30} GiB a set",
        f"{request_limits.PER_MINUTE} requests a minute of one session",
        f"{request_limits.PRINCIPAL_PER_MINUTE} of one principal's",
        f"{request_limits.ALL_PER_MINUTE} of all",
        f"when all together have {store.MAX_STORE_BYTES // 2**30} GiB",
    ],
)
def test_the_page_about_packages_has_the_figures_of_the_broker(figure: str) -> None:
    assert figure in words_of("docs/environments.md")


def test_the_first_execution_of_an_azure_session_sends_no_more_than_the_page_says() -> None:
    assert "some 55 KB in the request" in words_of("docs/azure.md")
    assert len(wrap("1", bring_module=True, max_side=1568)) < 60_000
