"""Trees that code left on the host: measured and removed, whatever their shape."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest

from aca_mcp.local.directory_trees import remove_tree, size_of_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def make_deep(directory: Path, depth: int) -> None:
    """Directories in one another, deeper than a path can name."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)


def test_a_tree_has_the_size_of_what_is_in_it(tree: Path) -> None:
    assert size_of_tree(tree) == 0
    (tree / "a").mkdir()
    (tree / "a" / "big").write_bytes(bytes(10_000))
    (tree / "a" / "empty").touch()
    (tree / "link").symlink_to("/usr")
    size = size_of_tree(tree)
    assert 10_000 + 3 * 4096 <= size <= 12_288 + 4 * 4096


def test_a_sparse_file_counts_what_it_takes(tree: Path) -> None:
    (tree / "sparse").touch()
    os.truncate(tree / "sparse", 2**40)
    assert size_of_tree(tree) == 4096


def test_a_tree_that_is_gone_has_no_size_and_is_removed(tmp_path: Path) -> None:
    assert size_of_tree(tmp_path / "gone") == 0
    remove_tree(tmp_path / "gone")


def test_a_tree_too_deep_is_past_every_limit(tree: Path) -> None:
    make_deep(tree, 200)
    assert size_of_tree(tree) == math.inf


def test_a_tree_too_large_is_past_every_limit(tree: Path) -> None:
    for name in ("a", "b"):
        (tree / name).mkdir()
        (tree / name / "file").touch()
    assert size_of_tree(tree, max_entries=3) == math.inf


def test_a_tree_of_any_depth_is_removed(tree: Path) -> None:
    make_deep(tree, 3000)
    (tree / "file").touch()
    remove_tree(tree)
    assert not tree.exists()


def test_what_code_has_closed_to_itself_is_removed(tree: Path) -> None:
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "inner" / "file").touch()
    (tree / "closed" / "inner").chmod(0)
    (tree / "closed").chmod(0)
    remove_tree(tree)
    assert not tree.exists()


def test_nothing_is_removed_or_measured_through_a_link(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(bytes(100_000))
    (tree / "link").symlink_to(outside)
    (tree / "sub").mkdir()
    (tree / "sub" / "link").symlink_to(outside)
    assert size_of_tree(tree) < 50_000
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").exists()
    tree.symlink_to(outside)
    assert size_of_tree(tree) == 0
    remove_tree(tree)
    assert (outside / "kept").exists()
