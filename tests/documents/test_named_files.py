"""The files that documents name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.py)`")


def is_there(name: str) -> bool:
    return any((base / name).is_file() for base in (ROOT, ROOT / "aca_mcp"))


def test_modules_are_named_in_documents() -> None:
    assert any(NAMED.search(document.read_text("utf-8")) for document in DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_are_there(document: Path) -> None:
    named = set(NAMED.findall(document.read_text("utf-8")))
    assert [name for name in sorted(named) if not is_there(name)] == []
