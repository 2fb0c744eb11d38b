"""The same attacks where this process cannot try them: on pools of other users.

Not for users other than root, whose own tests are these already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.hostile.conftest import TIERS
from tests.hostile.stage import ROOT

USER = 64_321
"""Owner of nothing, in no database, and with no home."""

STAGE = Path(__file__).with_name("stage.py")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("uid", "choice", "groups"),
    [
        (USER, ["-m", "key_attack"], True),
        (0, ["-m", "key_attack", "-k", "namespaces and (memory or share or idle or bomb)"], False),
        pytest.param(
            0,
            ["-k", "landlock"],
            True,
            marks=pytest.mark.skipif("landlock" in TIERS, reason="has run in this process"),
        ),
    ],
    ids=["another-user", "root-without-groups", "root-without-namespaces"],
)
def test_the_attacks_fail_on_pools_of(uid: int, choice: list[str], *, groups: bool) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        directory = Path(name)
        directory.chmod(0o755)
        os.chown(directory, uid, uid)
        done = run_as(uid, choice, directory, {} if groups else {"WITHOUT_GROUPS": "1"})
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def run_as(
    uid: int, choice: list[str], directory: Path, more: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        # Neither files of coverage nor caches can be written by another user.
        if not (uid and name.startswith("COVERAGE")) and not name.startswith("PYTEST")
    }
    return subprocess.run(
        [
            *(sys.executable, str(STAGE), str(uid), sys.executable, "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "--basetemp", str(directory / "base")),
            *(*choice, "tests/hostile"),
        ],
        cwd=ROOT,
        env={
            **environment,
            **more,
            "HOME": "/",
            "TMPDIR": str(directory),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=110,
    )
