"""Which files a piece of code made or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aca_mcp.kernel.changed_files import changed, snapshot

if TYPE_CHECKING:
    from pathlib import Path


def test_new_and_changed_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("same")
    (tmp_path / "grows").write_text("a")
    before = snapshot(str(tmp_path))
    (tmp_path / "grows").write_text("ab")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "new.csv").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "link").symlink_to("old")
    assert changed(before, snapshot(str(tmp_path))) == ["data/new.csv", "grows"]


def test_a_file_that_was_replaced_by_one_just_like_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = snapshot(str(tmp_path))
    (tmp_path / "b").write_text("y")
    (tmp_path / "b").replace(tmp_path / "a")
    assert changed(before, snapshot(str(tmp_path))) == ["a"]


def test_nothing_changed_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "gone").write_text("x")
    before = snapshot(str(tmp_path))
    (tmp_path / "gone").unlink()
    assert changed(before, snapshot(str(tmp_path))) == []


def test_a_directory_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert snapshot(str(tmp_path / "none")) == {}


def test_looking_and_telling_are_bounded(tmp_path: Path) -> None:
    empty = snapshot(str(tmp_path))
    for number in range(25):
        (tmp_path / f"{number:02}").touch()
    assert changed(empty, snapshot(str(tmp_path))) == [f"{number:02}" for number in range(20)]
    for number in range(25, 40):
        (tmp_path / f"{number:02}").touch()
    assert snapshot(str(tmp_path), most=30) is None
    assert changed(empty, None) == changed(None, empty) == []


def test_what_lies_deep_is_not_looked_at(tmp_path: Path) -> None:
    deep = tmp_path / "1" / "2" / "3"
    (deep / "4" / "5").mkdir(parents=True)
    (deep / "seen").touch()
    (deep / "4" / "not seen").touch()
    assert snapshot(str(tmp_path)) is not None
    assert changed({}, snapshot(str(tmp_path))) == ["1/2/3/seen"]
