"""Paths as models and clients give them: what is understood, and what no session is asked for."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import InvalidPathError
from aca_mcp.paths import parse_file_path, parse_path, without_scheme

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=60
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)


@given(st.lists(names, min_size=1, max_size=5))
def test_a_path_is_split_into_the_names_it_was_made_of(parts: list[str]) -> None:
    path = "/".join(parts)
    assert parse_path(path, "/mnt/data") == tuple(parts)
    assert parse_file_path(f"/mnt/data/{path}", "/mnt/data") == tuple(parts)


@given(
    st.text(st.characters() | st.characters(categories=["Cs"]) | st.sampled_from("/."), max_size=40)
)
def test_no_path_that_is_accepted_leaves(path: str) -> None:
    with suppress(InvalidPathError):
        for part in parse_path(path, "/mnt/data"):
            assert part not in ("", ".", "..")
            assert "/" not in part
            assert "\0" not in part
            os.fsencode(part)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "mnt", "data", "~", "b c"]), max_size=8))
def test_no_way_up_is_accepted(parts: list[str]) -> None:
    with suppress(InvalidPathError):
        assert ".." not in parse_path("/".join(parts), "/mnt/data")


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("", ()),
        (".", ()),
        ("/mnt/data", ()),
        ("/mnt/data/", ()),
        ("a.csv", ("a.csv",)),
        ("./a//b/./c/", ("a", "b", "c")),
        ("/mnt/data/a/b", ("a", "b")),
        ("...", ("...",)),
        ("~/x", ("~", "x")),
        ("\N{SNOWMAN} \N{COMBINING ACUTE ACCENT}.txt", ("☃ \u0301.txt",)),
    ],
)
def test_paths_are_relative_or_absolute_within(path: str, parts: tuple[str, ...]) -> None:
    assert parse_path(path, "/mnt/data") == parts


def test_the_usual_name_is_understood_where_the_directory_is_elsewhere() -> None:
    elsewhere = "/tmp/aca-mcp-x/session-1/data"
    assert parse_path("/mnt/data/a", elsewhere, "/mnt/data") == ("a",)
    assert parse_path(f"{elsewhere}/a", elsewhere, "/mnt/data") == ("a",)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../a", "A path may not contain '..': give it from the work directory."),
        ("a/../b", "A path may not contain '..': give it from the work directory."),
        ("/mnt/data/..", "A path may not contain '..': give it from the work directory."),
        ("/etc/passwd", "Only files below /mnt/data can be reached. Give a path relative to it."),
        ("/mnt/database", "Only files below /mnt/data can be reached. Give a path relative to it."),
        ("/", "Only files below /mnt/data can be reached. Give a path relative to it."),
        ("a\0b", "A path may not contain control characters."),
        ("a\nb", "A path may not contain control characters."),
        ("a\x7fb", "A path may not contain control characters."),
        ("a\ud800", "A path may not contain half of a character."),
        ("a" * 256, "The path is too long for a file system."),
        ("é" * 128, "The path is too long for a file system."),
        ("a/" * 3001, "The path is too long for a file system."),
    ],
)
def test_other_paths_are_refused_in_a_sentence(path: str, sentence: str) -> None:
    with pytest.raises(InvalidPathError) as refused:
        parse_path(path, "/mnt/data")
    assert refused.value.message == sentence


@pytest.mark.parametrize("path", ["", ".", "/mnt/data", "/mnt/data/"])
def test_the_work_directory_itself_is_no_file(path: str) -> None:
    with pytest.raises(InvalidPathError, match="Give the name of a file"):
        parse_file_path(path, "/mnt/data")


@pytest.mark.parametrize(
    "path",
    [
        "sandbox:/mnt/data/a b.csv",
        "file:///mnt/data/a%20b.csv",
        "file:/mnt/data/a%20b.csv",
        "attachment:a b.csv",
        "[the table](sandbox:/mnt/data/a b.csv)",
        "![a](<a b.csv>)",
        "/mnt/data/a b.csv",
        "a b.csv",
        "aca://sessions/current/files/a%20b.csv",
    ],
)
def test_names_from_elsewhere_are_understood(path: str) -> None:
    assert parse_path(without_scheme(path), "/mnt/data") == ("a b.csv",)
