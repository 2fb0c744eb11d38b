"""What each session has of its own, although it was forked from what all others were."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from aca_mcp.local.reseeding import reseed
from tests.support.forked import in_child
from tests.support.policies import UNSAFE


def test_a_session_shares_neither_environment_nor_random_numbers(tmp_path: Path) -> None:
    """Its home is its work directory; pip is told where it may install, and not to wait."""
    (tmp_path / "data").mkdir()
    random.seed(1)
    expected = random.Random(1).random()

    def be_session() -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        reseed(UNSAFE, f"{tmp_path}/data")
        assert os.environ["HOME"] == f"{tmp_path}/data"
        assert os.environ["TMPDIR"] == f"{tmp_path}/tmp"
        assert os.environ["PIP_RETRIES"] == "0"
        assert "OMP_NUM_THREADS" not in os.environ
        assert sys.path[-1] == os.environ["PIP_TARGET"]
        assert random.random() != expected
        assert str(Path.cwd()) == f"{tmp_path}/data"

    assert in_child(be_session) is None
