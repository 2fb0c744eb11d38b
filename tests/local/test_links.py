"""Links in a session: wherever they lead, nothing outside is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import FileExistsInSessionError, InvalidPathError
from tests.local.session_files import download, incoming, names, names_in, upload

if TYPE_CHECKING:
    from pathlib import Path

    from aca_mcp.local.files import LocalFiles


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
