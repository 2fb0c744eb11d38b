"""Entries of the cache appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aca_mcp.errors import PoolUnavailableError
from aca_mcp.wasm.cache import make_private, new_entry, remove_unfinished, superseded

if TYPE_CHECKING:
    from pathlib import Path


def test_an_entry_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    (tmp_path / "entry").touch()  # a file where the entry belongs
    with pytest.raises(NotADirectoryError), new_entry(target) as making:
        (making / "whole").touch()
    target.unlink()
    assert list(tmp_path.iterdir()) == []
    with new_entry(target) as making:
        (making / "whole").touch()
    assert (target / "whole").exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    entry = new_entry(tmp_path / "entry")
    making = entry.__enter__()
    (making / "half").touch()
    (tmp_path / "module-other").mkdir()
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["module-other"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "cache"
    make_private(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(mode)
    with pytest.raises(PoolUnavailableError, match="others could write to it"):
        make_private(directory)


DAY = 86_400
NAMES = st.builds("{}-{}".format, st.sampled_from(["module", "image"]), st.integers(0, 20))


@given(st.dictionaries(NAMES, st.floats(0, 100 * DAY)), st.frozensets(NAMES))
def test_what_is_used_stays_and_what_nobody_used_for_a_month_goes(
    ages: dict[str, float], needed: frozenset[str]
) -> None:
    gone = set(superseded(ages, needed))
    assert not gone & needed
    assert all(ages[name] > DAY for name in gone)
    assert gone >= {name for name, age in ages.items() if age > 30 * DAY} - needed
    left = set(ages) - gone - needed
    for kind in ("module-", "image-"):
        assert sum(name.startswith(kind) and ages[name] > DAY for name in left) <= 3
        newest_gone = min((ages[name] for name in gone if name.startswith(kind)), default=None)
        assert newest_gone is None or all(
            ages[name] <= newest_gone for name in left if name.startswith(kind)
        )
