"""Paths in a session, and links: whatever they say, nothing outside is reached."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import (
    FileExistsInSessionError,
    InvalidPathError,
)
from aca_mcp.local.files import LocalFiles
from tests.local.session_files import (
    MAX_FILE_BYTES,
    download,
    incoming,
    names,
    names_in,
    upload,
)

if TYPE_CHECKING:
    from pathlib import Path


# Paths


@given(
    st.text(st.characters() | st.characters(categories=["Cs"]) | st.sampled_from("/."), max_size=40)
)
def test_no_path_that_is_accepted_leaves(path: str) -> None:
    files = LocalFiles(-1, "/mnt/data", MAX_FILE_BYTES, MAX_FILE_BYTES)
    with suppress(InvalidPathError):
        for part in files.parse_path(path):
            assert part not in ("", ".", "..")
            assert "/" not in part
            assert "\0" not in part
            os.fsencode(part)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "mnt", "data", "~", "b c"]), max_size=8))
def test_no_way_up_is_accepted(parts: list[str]) -> None:
    files = LocalFiles(-1, "/mnt/data", MAX_FILE_BYTES, MAX_FILE_BYTES)
    with suppress(InvalidPathError):
        assert ".." not in files.parse_path("/".join(parts))


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
    assert LocalFiles(-1, "/mnt/data", 1, MAX_FILE_BYTES).parse_path(path) == parts


def test_the_usual_name_is_understood_where_the_directory_is_elsewhere() -> None:
    files = LocalFiles(-1, "/tmp/aca-mcp-x/session-1/data", 1, MAX_FILE_BYTES)
    assert files.parse_path("/mnt/data/a") == ("a",)
    assert files.parse_path("/tmp/aca-mcp-x/session-1/data/a") == ("a",)


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
        LocalFiles(-1, "/mnt/data", 1, MAX_FILE_BYTES).parse_path(path)
    assert refused.value.message == sentence


# Links


@pytest.mark.parametrize("path", ["secret", "out/secret", "up/data/plain", "inside", "new"])
def test_nothing_is_read_through_a_link(files: LocalFiles, links: Path, path: str) -> None:
    with pytest.raises(InvalidPathError) as refused:
        download(files, path)
    assert refused.value.message.startswith(f"{path} leads through ")
    assert links.exists()


@pytest.mark.parametrize("path", ["out/new", "up/incoming/new", "out/deep/new"])
def test_nothing_is_written_through_a_link_on_the_way(
    files: LocalFiles, links: Path, outside: Path, path: str
) -> None:
    with pytest.raises(InvalidPathError, match="leads through"):
        upload(files, path, b"evil")
    assert names_in(outside) == ["secret"]
    assert incoming(links) == []


def test_a_link_in_the_place_of_a_file_is_replaced_itself(
    files: LocalFiles, links: Path, outside: Path
) -> None:
    upload(files, "secret", b"mine")
    upload(files, "new", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert not (outside / "new").exists()
    assert not (links / "new").is_symlink()


def test_a_link_in_the_place_of_a_file_counts_as_a_file(files: LocalFiles, links: Path) -> None:
    with pytest.raises(FileExistsInSessionError):
        upload(files, "new", b"mine", overwrite=False)
    assert links.exists()


@pytest.mark.parametrize("path", ["out", "up", "out/secret", "secret"])
def test_nothing_is_listed_through_a_link(files: LocalFiles, links: Path, path: str) -> None:
    with pytest.raises(InvalidPathError, match="leads through"):
        files.list(path, recursive=True)
    assert links.exists()


def test_links_are_listed_as_what_they_are(files: LocalFiles, links: Path) -> None:
    found = {entry.path: entry for entry in files.list("", recursive=True).entries}
    assert found["out"].kind == "other"
    assert found["secret"].kind == "other"
    assert found["secret"].size_bytes == 0
    assert set(found) == set(names_in(links))


def test_a_link_is_deleted_itself(files: LocalFiles, links: Path, outside: Path) -> None:
    files.delete("secret")
    files.delete("out")
    assert (outside / "secret").exists()
    assert not (links / "out").is_symlink()
    with pytest.raises(InvalidPathError, match="leads through"):
        files.delete("up/data/plain")


def test_the_work_directory_itself_may_not_be_a_link(
    files: LocalFiles, data: Path, outside: Path
) -> None:
    data.rmdir()
    data.symlink_to(outside)
    for refused in (
        lambda: download(files, "secret"),
        lambda: names(files),
        lambda: files.delete("secret"),
        lambda: upload(files, "new", b"evil"),
    ):
        with pytest.raises(InvalidPathError, match="leads through"):
            refused()
    assert names_in(outside) == ["secret"]
