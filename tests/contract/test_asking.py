"""Code that asks a person, who is not there, on every pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.running import run, shown

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool

ASKING = (
    "breakpoint()",
    "import pdb; pdb.set_trace()",
    "pdb.run('1')",
    "pdb.Pdb().runcall(lambda: 1)",
    "%%debug\n1",
    "%debug 1",
    "import code; code.interact()",
    "from IPython import embed; embed()",
    "input()",
    "import getpass; getpass.getpass()",
    "import sys; sys.stdin.read()",
    "for line in sys.stdin: pass",
    "sys.stdin.buffer.readline()",
    "import json; json.load(sys.stdin)",
    "help()",
    "import fileinput; next(fileinput.input([]))",
)


async def test_code_may_put_in_what_input_reads(pool: SessionPool, identifier: str) -> None:
    await run(pool, identifier, "import io, sys; sys.stdin = io.StringIO('5\\n6')")
    assert await shown(pool, identifier, "int(input()) + int(sys.stdin.read())") == "11"


async def test_who_asks_a_person_hears_that_there_is_none(
    pool: SessionPool, identifier: str
) -> None:
    for code in ASKING:
        execution = await run(pool, identifier, code)
        assert execution.error is not None, code
        assert "nobody can type into this session" in execution.error.message, code
