"""How many connections the limit on descriptors allows: asked in processes with such a limit."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from aca_mcp.listening.descriptors import connections_possible
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(connections_possible(int(sys.argv[3]), beside=100))
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "possible", "raised"),
    [
        (1024, 1024, 100, 100, 1024),
        (1024, 1024, 1000, 1024 - 140, 1024),
        (1024, 4096, 1000, 1000, 1140),
        (256, 300, 1000, 160, 300),
        (64, 64, 1000, 1, 64),
    ],
)
def test_connections_leave_room_for_the_rest(
    soft: int, hard: int, wanted: int, possible: int, raised: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(wanted)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert told.split() == [str(possible), str(raised), str(hard)]
