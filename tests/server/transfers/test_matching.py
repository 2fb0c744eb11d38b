"""Patterns over paths, and names that are close to one that is not there."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.server.transfers.matching import closest, matches, named

names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/*?["), min_size=1
).filter(lambda name: name not in {".", ".."})  # which no file has


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("a.csv", "*.csv", True),
        ("x/y/a.csv", "*.csv", True),
        ("x/a.csv", "x/*.csv", True),
        ("x/y/a.csv", "x/*.csv", False),
        ("x/y/a.csv", "x/**/*.csv", True),
        ("x/a.csv", "x/**/*.csv", True),
        ("x/y/z", "**", True),
        ("x/y/z", "x/**", True),
        ("a.csv", "?.csv", True),
        ("b.csv", "[ab].csv", True),
        ("DATA.CSV", "*.csv", True),
        ("Umsätze.Csv", "UMSÄTZE.*", True),
        ("x/y", "x", False),
        ("x", "x/y", False),
    ],
)
def test_patterns_are_those_of_shells(path: str, pattern: str, expected: bool) -> None:
    assert matches(path, pattern) is expected


@given(st.lists(names, min_size=1, max_size=5).map("/".join))
def test_a_path_matches_itself_however_its_letters_are_encoded(path: str) -> None:
    for form in ("NFC", "NFD"):
        assert matches(unicodedata.normalize(form, path), path)


FILES = [
    "a.csv",
    "data [1].csv",
    "sub/b.csv",
    "sub/deep/c.txt",
    unicodedata.normalize("NFD", "Köln/ä.csv"),
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", FILES[:1]),
        ("data [1].csv", FILES[1:2]),
        ("sub", FILES[2:4]),
        ("sub/", FILES[2:4]),
        ("", FILES),
        (".", FILES),
        ("./sub//deep/", FILES[3:4]),
        ("./*.csv", FILES[:3] + FILES[4:]),
        ("Köln/ä.csv", FILES[4:]),
        ("Köln", FILES[4:]),
        ("K*n/?.csv", FILES[4:]),
        ("[as]*.csv", FILES[:1]),
        ("A.csv", []),
        ("su", []),
    ],
)
def test_a_path_stands_for_a_name_before_it_is_a_pattern(path: str, expected: list[str]) -> None:
    assert named(path, FILES) == expected


@given(st.lists(names, min_size=1, max_size=5).map("/".join))
def test_every_name_stands_for_itself_however_it_is_encoded(path: str) -> None:
    stored = unicodedata.normalize("NFD", path)
    for form in ("NFC", "NFD"):
        assert named(unicodedata.normalize(form, path), [stored]) == [stored]


def test_no_pattern_takes_long() -> None:
    begun = time.perf_counter()
    assert not matches("/".join("a" * 300), "/".join(["**", "a"] * 100 + ["b"]))
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sales.csv", "Sales.CSV"),
        ("umsatze.csv", "Umsätze.csv"),
        ("umsaetze.csv", "Umsätze.csv"),
        ("strasse.csv", "Straße.csv"),
        ("my sales.csv", "my_sales.csv"),
        ("slaes.csv", "data/sales.csv"),
        ("sales.xlsx", "sales.xls"),
        ("data/sales.csv", "old/data/sales.csv"),
    ],
)
def test_the_file_that_was_meant_comes_first(typed: str, meant: str) -> None:
    others = ["readme.txt", "plot.png", "inventory 2023.json", "x", "sarcasm.md"]
    assert closest(typed, [*others, meant])[0] == meant


def test_where_nothing_is_close_nothing_is_suggested() -> None:
    assert closest("sales.csv", ["readme.txt", "plot.png"]) == []
