"""The page that tells what became of the hostile programs."""

from __future__ import annotations

from scripts.hostile_table import PAGE, STAGES, modules, sentence, sentences_on


def test_the_page_has_every_program_there_is_and_no_other() -> None:
    """If not: ``scripts/hostile --write``."""
    there_are = [sentence(test) for _, tests in modules().values() for test in tests]
    assert sentences_on(PAGE.read_text(encoding="utf-8")) == there_are


def test_no_program_on_the_page_has_broken_out_or_was_tried_nowhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "broken**" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and line[2] != "-"]
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert len(cells) == len(STAGES)
        assert any(cells), row
