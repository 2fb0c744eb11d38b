"""In which order two streams are told to which code, its threads and its processes write."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from aca_mcp.kernel.streams import MAX_SWITCHES
from tests.contract.running import shown

if TYPE_CHECKING:
    from aca_mcp.local.pool import LocalSessionPool

BEGIN = "import multiprocessing, os, subprocess, sys\nfrom IPython.display import clear_output\n"
FORK = "multiprocessing.get_context('fork').Process"
WAYS = (
    "subprocess.run({0!r}, shell=True)",
    "subprocess.check_call(['sh', '-c', {0!r}])",
    "os.system({0!r})",
    "get_ipython().system({0!r})",
    "get_ipython().run_cell_magic('bash', '', {0!r})",
    f"child = {FORK}(target=os.system, args=({{0!r}},)); child.start(); child.join()",
)
"""By which code has a shell command run to its end."""


@pytest.mark.parametrize("way", WAYS)
async def test_processes_that_ran_one_after_the_other_are_told_in_that_order(
    pool: LocalSessionPool, identifier: str, way: str
) -> None:
    commands = ("echo 1 >&2", "echo 2", "echo 3 >&2", "echo 4")
    code = BEGIN + "\n".join(map(way.format, commands)) + "\nNone"
    text = await shown(pool, identifier, code)
    assert text == "[stderr]\n1\n[stdout]\n2\n[stderr]\n3\n[stdout]\n4"
    code = "print(0, file=sys.stderr); os.write(1, b'1\\n')\n" + way.format("echo 2 >&2") + "\nNone"
    text = await shown(pool, identifier, code)
    assert text == "[stderr]\n0\n[stdout]\n1\n[stderr]\n2"


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_to_be_cleared_before_the_next_output_is_cleared_before_a_process(
    pool: LocalSessionPool, identifier: str, way: str
) -> None:
    code = f"print('begun')\nfor n in range(3):\n    clear_output(wait=True)\n    {way}\nNone"
    text = await shown(pool, identifier, BEGIN + code.format("echo one; echo two >&2"))
    assert text == "one\n[stderr]\ntwo"


@pytest.mark.parametrize("between", ["", "    print('between')\n"])
async def test_after_any_number_of_processes_what_code_prints_is_told_in_order(
    pool: LocalSessionPool, identifier: str, between: str
) -> None:
    code = (
        "import contextlib\n"
        f"for _ in range({MAX_SWITCHES + 10}):\n"
        # What is told before a process begins is told; that none does spares the time.
        f"    with contextlib.suppress(TypeError): subprocess.Popen()\n{between}"
        "for n in range(4): print(n, file=(sys.stdout, sys.stderr)[n % 2])"
    )
    text = await shown(pool, identifier, BEGIN + code)
    assert text.endswith("0\n[stderr]\n1\n[stdout]\n2\n[stderr]\n3")


async def test_threads_that_write_to_both_streams_at_once_are_all_of_the_code_that_runs(
    pool: LocalSessionPool, identifier: str
) -> None:
    code = (
        "import sys, threading\ndef work(n):\n    for i in range(100):\n"
        "        print('out', n, i); print('err', n, i, file=sys.stderr)\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
        "for each in threads: each.start()\nfor each in threads: each.join()"
    )
    for _ in range(3):
        told = Counter((await shown(pool, identifier, code)).splitlines())
        del told["[stdout]"], told["[stderr]"]
        each = {f"{name} {n} {i}" for name in ("out", "err") for n in range(8) for i in range(100)}
        assert told == dict.fromkeys(each, 1)
