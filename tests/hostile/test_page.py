"""The page that tells which hostile programs there are."""

from __future__ import annotations

from scripts.hostile_table import PAGE, page


def test_the_page_of_hostile_programs_is_up_to_date() -> None:
    """If not: ``python scripts/hostile_table.py --write``."""
    assert PAGE.read_text(encoding="utf-8") == page()
