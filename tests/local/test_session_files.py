"""The files of a session from outside it: whatever lies there, nothing else is reached."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aca_mcp.errors import (
    FileExistsInSessionError,
    FileMissingError,
    FileTooLargeError,
    InvalidPathError,
    SessionFileError,
)
from aca_mcp.local.files import LocalFiles
from tests.local.session_files import (
    MAX_FILE_BYTES,
    download,
    incoming,
    names,
    names_in,
    open_descriptors,
    upload,
)

# Uploading


def test_an_upload_appears_with_its_size_and_time(files: LocalFiles, data: Path) -> None:
    before = datetime.now(UTC).timestamp() - 1
    entry = upload(files, "a.csv", b"1,2\n", b"3,4\n")
    assert (data / "a.csv").read_bytes() == b"1,2\n3,4\n"
    assert (entry.path, entry.kind, entry.size_bytes) == ("a.csv", "file", 8)
    assert before <= entry.modified_at.timestamp() <= before + 60
    assert entry.modified_at.tzinfo is UTC


def test_an_upload_appears_whole_or_not_at_all(files: LocalFiles, data: Path) -> None:
    started = files.begin_upload("a/b.csv", overwrite=True)
    started.write(b"half")
    assert names(files, recursive=True) == ["a"]
    started.close()
    assert names(files, recursive=True) == ["a"]
    assert incoming(data) == []


@pytest.mark.parametrize(
    "name", ["\N{SNOWMAN}.csv", "日本語 のファイル.txt", "-rf", "a'b\"c", " ", "*"]
)
def test_names_may_be_any_text(files: LocalFiles, name: str) -> None:
    assert upload(files, f"sub/{name}", b"1").path == f"sub/{name}"
    assert names(files, "sub") == [f"sub/{name}"]
    assert download(files, f"/mnt/data/sub/{name}") == b"1"
    files.delete(f"sub/{name}")


def test_an_upload_replaces_a_file_if_it_may(files: LocalFiles, data: Path) -> None:
    upload(files, "a", b"old")
    upload(files, "a", b"new")
    assert download(files, "a") == b"new"
    with pytest.raises(FileExistsInSessionError) as refused:
        upload(files, "a", b"newer", overwrite=False)
    assert refused.value.message == "a is there already, and was not overwritten."
    assert download(files, "a") == b"new"
    assert incoming(data) == []


def test_a_file_that_came_in_the_meantime_is_not_replaced(files: LocalFiles, data: Path) -> None:
    started = files.begin_upload("a", overwrite=False)
    (data / "a").write_bytes(b"the code's")
    with pytest.raises(FileExistsInSessionError):
        started.finish()
    started.close()
    assert download(files, "a") == b"the code's"
    assert incoming(data) == []


def test_an_upload_too_large_leaves_nothing_and_changes_nothing(
    files: LocalFiles, data: Path
) -> None:
    upload(files, "a", b"old")
    with pytest.raises(FileTooLargeError) as refused:
        upload(files, "a", bytes(MAX_FILE_BYTES), b"1")
    assert refused.value.message == (
        "a is larger than the 1,000 bytes that one file may have (ACA_MCP_LOCAL_MAX_FILE_MIB). "
        "Nothing was uploaded; split it "
        "or compress it."
    )
    assert download(files, "a") == b"old"
    assert incoming(data) == []
    assert upload(files, "a", bytes(MAX_FILE_BYTES)).size_bytes == MAX_FILE_BYTES


def test_a_directory_is_never_replaced(files: LocalFiles, data: Path) -> None:
    (data / "sub").mkdir()
    for path in ("sub", "sub/"):
        with pytest.raises(InvalidPathError, match="is a directory"):
            upload(files, path, b"1")
    with pytest.raises(InvalidPathError, match="Give the name of a file"):
        upload(files, "", b"1")


def test_a_directory_that_came_in_the_meantime_is_not_replaced(
    files: LocalFiles, data: Path
) -> None:
    started = files.begin_upload("a", overwrite=True)
    (data / "a").mkdir()
    with pytest.raises(InvalidPathError, match="a is a directory"):
        started.finish()
    started.close()
    assert incoming(data) == []


def test_a_file_on_the_way_is_not_a_directory(files: LocalFiles) -> None:
    upload(files, "a", b"1")
    with pytest.raises(InvalidPathError, match="leads through something that is not a directory"):
        upload(files, "a/b", b"1")


def test_the_place_for_unfinished_uploads_is_made_again(files: LocalFiles, data: Path) -> None:
    (data.parent / "incoming").rmdir()
    upload(files, "a", b"1")
    assert download(files, "a") == b"1"


def test_an_unfinished_upload_that_the_code_took_away_is_an_error(
    files: LocalFiles, data: Path
) -> None:
    started = files.begin_upload("a", overwrite=True)
    for name in incoming(data):
        (data.parent / "incoming" / name).unlink()
    with pytest.raises(FileMissingError):
        started.finish()
    started.close()


# Downloading


def test_what_is_not_there_is_said_so(files: LocalFiles) -> None:
    for missing in (lambda: download(files, "a/b"), lambda: files.delete("a/b")):
        with pytest.raises(FileMissingError) as refused:
            missing()
        assert refused.value.message == "There is no a/b in the session. List the files to see."


def test_a_file_too_large_is_not_downloaded(files: LocalFiles, data: Path) -> None:
    (data / "big").write_bytes(bytes(MAX_FILE_BYTES + 1))
    with pytest.raises(FileTooLargeError) as refused:
        files.open_download("big")
    assert refused.value.message == (
        "big has 1,001 bytes; at most 1,000 can be downloaded (ACA_MCP_LOCAL_MAX_FILE_MIB). "
        "Let code compress it or split it."
    )


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket"])
def test_what_is_no_regular_file_is_not_downloaded(
    files: LocalFiles, data: Path, kind: str
) -> None:
    if kind == "directory":
        (data / "a").mkdir()
    elif kind == "fifo":
        os.mkfifo(data / "a")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(data / "a"))
    with pytest.raises(InvalidPathError) as refused:
        files.open_download("a")
    assert refused.value.message == "a is not a regular file."
    assert files.list("", recursive=False).entries[0].kind in ("directory", "other")


# Listing


def test_a_listing_is_sorted_with_kinds_sizes_and_times(files: LocalFiles, data: Path) -> None:
    (data / "b").write_bytes(b"12")
    (data / "a").mkdir()
    (data / "a" / "c").write_bytes(b"1")
    os.utime(data / "b", (1_000_000, 1_000_000.5))
    listing = files.list("", recursive=False)
    assert not listing.truncated
    assert [(e.path, e.kind, e.size_bytes) for e in listing.entries] == [
        ("a", "directory", 0),
        ("b", "file", 2),
    ]
    assert listing.entries[1].modified_at == datetime.fromtimestamp(1_000_000.5, UTC)
    assert names(files, recursive=True) == ["a", "a/c", "b"]
    assert names(files, "a") == ["a/c"]
    assert names(files, "/mnt/data/a/") == ["a/c"]


def test_what_cannot_be_listed_is_said_so(files: LocalFiles) -> None:
    upload(files, "file", b"")
    with pytest.raises(FileMissingError, match="There is no nowhere in the session"):
        files.list("nowhere", recursive=False)
    with pytest.raises(InvalidPathError, match="not a directory"):
        files.list("file", recursive=False)


def test_a_long_listing_is_cut_and_says_so(files: LocalFiles, data: Path) -> None:
    files.max_entries = 3
    for number in range(3):
        (data / f"file{number}").touch()
    assert not files.list("", recursive=False).truncated
    (data / "sub").mkdir()
    (data / "sub" / "file").touch()
    before = open_descriptors()
    for recursive in (False, True):
        listing = files.list("", recursive=recursive)
        assert (len(listing.entries), listing.truncated) == (3, True)
    assert open_descriptors() == before


def test_a_tree_is_followed_only_so_deep(files: LocalFiles, data: Path) -> None:
    deep = data
    for _ in range(80):
        deep /= "d"
    deep.mkdir(parents=True)
    assert len(names(files, recursive=True)) == 65


def test_a_name_that_is_no_text_is_listed_readably(files: LocalFiles, data: Path) -> None:
    Path(os.fsdecode(bytes(data) + b"/\xff\xfe")).touch()
    (name,) = names(files)
    assert name.encode() == b"\\udcff\\udcfe"


# Deleting


def test_files_and_empty_directories_are_deleted(files: LocalFiles, data: Path) -> None:
    upload(files, "a/b", b"1")
    with pytest.raises(InvalidPathError, match="a is a directory with something in it"):
        files.delete("a")
    files.delete("a/b")
    files.delete("a")
    assert names_in(data) == []
    with pytest.raises(InvalidPathError, match="The work directory itself cannot be deleted"):
        files.delete("/mnt/data")


# What else may go wrong


def test_an_error_that_nobody_expects_is_still_a_sentence(data: Path) -> None:
    gone = os.open(data, os.O_RDONLY)
    os.close(gone)
    if os.geteuid() == 0:
        with pytest.raises(OSError, match="Bad file descriptor"):
            LocalFiles(gone, "/mnt/data", 1, MAX_FILE_BYTES).list("", recursive=False)
    else:
        with pytest.raises(SessionFileError, match="cannot be reached: Bad file descriptor"):
            LocalFiles(gone, "/mnt/data", 1, MAX_FILE_BYTES).list("", recursive=False)


def test_nothing_is_left_open(files: LocalFiles, links: Path) -> None:
    upload(files, "sub/a", b"1")
    before = open_descriptors()
    for action in (
        lambda: upload(files, "sub/b", b"2"),
        lambda: upload(files, "sub/b", b"2", overwrite=False),
        lambda: upload(files, "out/b", b"2"),
        lambda: upload(files, "sub", b"2"),
        lambda: upload(files, "a", bytes(MAX_FILE_BYTES + 1)),
        lambda: download(files, "sub/a"),
        lambda: download(files, "sub"),
        lambda: download(files, "secret"),
        lambda: files.list("", recursive=True),
        lambda: files.list("up", recursive=True),
        lambda: files.delete("sub"),
        lambda: files.delete("sub/b"),
    ):
        with suppress(SessionFileError):
            action()
    assert open_descriptors() == before
    assert incoming(links) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has an identity to give up")
def test_root_reaches_files_as_the_session_does(files: LocalFiles, data: Path) -> None:
    """What the session may not read, nobody may read for it."""
    for path in (data.parent, data, data.parent / "incoming"):
        os.chown(path, 61_999, 61_999)
    for parent in (data.parent.parent, data.parent.parent.parent):
        parent.chmod(0o755)
    upload(files, "mine", b"1")
    assert (data / "mine").stat().st_uid == 61_999
    (data / "roots").write_text("secret")
    (data / "roots").chmod(0o600)
    with pytest.raises(InvalidPathError) as refused:
        download(files, "roots")
    assert refused.value.message == "The session's code has made roots inaccessible."
    (data / "locked").mkdir(mode=0o700)
    with pytest.raises(InvalidPathError, match="inaccessible"):
        upload(files, "locked/a", b"1")
    with pytest.raises(InvalidPathError, match="inaccessible"):
        files.list("locked", recursive=True)
    # One such directory does not keep the others from being listed.
    assert [e.path for e in files.list("", recursive=True).entries] == ["locked", "mine", "roots"]
    # A file made now is root's again.
    (data / "after").touch()
    assert (data / "after").stat().st_uid == 0
