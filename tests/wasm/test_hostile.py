"""Programs that attack from inside an instance: what they reach, and what becomes of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aca_mcp.errors import SessionFileError
from aca_mcp.wasm.pool import open_wasm_pool
from tests.local.pools import MEBIBYTE, new_identifier, result_of, run
from tests.support.streams import content
from tests.wasm.pools import wasm_configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aca_mcp.wasm.pool import WasmSessionPool

SECRET = "/etc/passwd"
REACHES = {
    "absolute path": f"open('{SECRET}').read()",
    "parent of the work directory": f"open('../..{SECRET}').read()",
    "many parents": f"open('/mnt/data/' + '../' * 20 + '{SECRET[1:]}').read()",
    "relative link": f"os.symlink('../..{SECRET}', 'l1'); open('l1').read()",
    "link to a directory": "os.symlink('../../etc', 'l2'); open('l2/passwd').read()",
    "link by way of the scratch": f"os.symlink('../..{SECRET}', '/tmp/l3'); open('/tmp/l3').read()",
    "hard link": f"os.link('../..{SECRET}', 'l4'); open('l4').read()",
    "rename of what is outside": "os.rename('../incoming', 'in'); os.listdir('in')",
    "descriptor of a directory": "fd = os.open('.', 0); os.open('..', 0, dir_fd=fd)",
    "guessed descriptors": "[os.listdir(n) for n in range(3, 40)] and os.read(40, 1)",
    "the interpreter's own files": "open('/usr/local/lib/python315.zip', 'r+b')",
    "packages": "open('/packages/IPython/__init__.py', 'w')",
    "processes of the system": "os.listdir('/proc')",
    "the root": "os.listdir('/')",
    "a device": "open('/dev/null').read(1)",
    "network": "import socket; socket.create_connection(('127.0.0.1', 80))",
    "network below Python": "import _socket; _socket.socket(2, 1, 0)",
    "processes": "import subprocess; subprocess.run(['true'])",
    "fork": "os.fork()",
    "compiled code": "import ctypes; ctypes.CDLL(None)",
}


FLOOD = "while True: print('x' * 10_000)"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[WasmSessionPool]:
    configuration = wasm_configuration(
        interrupt_grace_seconds=1, disk_bytes=32 * MEBIBYTE, max_output_bytes=64 * 1024
    )
    async with open_wasm_pool(configuration) as opened:
        yield opened


@pytest.fixture(scope="module")
async def shared(pool: WasmSessionPool) -> str:
    """A session for attacks that leave it as it was."""
    made = new_identifier()
    await run(pool, made, "import os")
    return made


@pytest.mark.parametrize("attack", REACHES)
async def test_nothing_outside_is_reached(pool: WasmSessionPool, shared: str, attack: str) -> None:
    reached = await run(pool, shared, REACHES[attack])
    assert reached.error is not None, reached.outputs
    assert reached.session_lost is None


async def test_the_environment_and_the_arguments_tell_nothing_of_the_host(
    pool: WasmSessionPool, shared: str
) -> None:
    seen = result_of(
        await run(pool, shared, "import sys\nsorted(os.environ), sys.argv, os.getcwd()")
    )
    assert "PATH" not in seen.split("'PYTHONTZPATH'")[0].replace("PYTHONTZPATH", "")
    assert "/root" not in seen
    assert "ACA_MCP" not in seen


async def test_stdin_is_empty_and_the_standard_streams_are_not_the_protocols(
    pool: WasmSessionPool, shared: str
) -> None:
    assert result_of(await run(pool, shared, "os.read(0, 10)")) == "b''"
    written = await run(pool, shared, "os.write(1, b'{\"jsonrpc\": 1}\\n'); os.write(2, b'err')")
    assert written.stdout.text.startswith('{"jsonrpc": 1}\n')
    assert written.stderr.text == "err"


FORGERIES = {
    "a result of its own": (
        "import _host, json\n"
        "h = json.dumps({'id': 1, 'error': None, 'outputs': [], 'blobs': []}).encode()\n"
        "_host.call(len(h).to_bytes(4, 'big') + bytes(4) + h)\n'true result'"
    ),
    "noise": "import _host, os\n_host.call(os.urandom(5000))\n'true result'",
    "a long answer": "import _host\n_host.call(bytes(2**26))\n'true result'",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_what_code_says_to_the_process_around_it_forges_nothing(
    pool: WasmSessionPool, identifier: str, forgery: str
) -> None:
    said = await run(pool, identifier, FORGERIES[forgery])
    assert result_of(said) == "'true result'"


@pytest.mark.parametrize(
    "damage",
    [
        "import sys\nsys.modules.pop('aca_mcp.wasm.guest.session').current = None",
        "import aca_mcp.wasm.guest.session as s\ns.current._exchange = lambda data: b''",
        "import sys; sys.modules.clear()",
        "import builtins; builtins.__import__ = None",
        "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass",
        "import gc\n[o.clear() for o in gc.get_objects() if isinstance(o, dict) and len(o) > 500]",
    ],
)
async def test_a_session_that_damages_itself_harms_itself_alone(
    pool: WasmSessionPool, identifier: str, shared: str, damage: str
) -> None:
    await run(pool, identifier, damage)
    after = await run(pool, identifier, "'next'")
    if after.session_lost is not None:
        after = await run(pool, identifier, "'next'")
        assert after.lost_before is not None
    elif after.rollback is not None:
        after = await run(pool, identifier, "'next'")
    assert result_of(after) == "'next'" or after.error is not None
    assert result_of(await run(pool, shared, "6 * 7")) == "42"


async def test_a_flood_of_output_is_bounded_and_does_not_stop_others(
    pool: WasmSessionPool, identifier: str, shared: str
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: run(pool, identifier, FLOOD, timeout=3))
        await anyio.sleep(0.5)
        with anyio.fail_after(10):
            assert result_of(await run(pool, shared, "6 * 7")) == "42"
    flood = await run(pool, identifier, "for _ in range(3000): print('x' * 10_000)")
    assert flood.stdout.omitted_bytes > 0
    assert len(flood.stdout.text) < 100_000


async def test_many_small_files_end_the_session_alone(
    pool: WasmSessionPool, identifier: str, shared: str
) -> None:
    code = "n = 0\nwhile True:\n    open(f'{n}', 'w').close(); n += 1"
    full = await run(pool, identifier, code)
    assert full.session_lost is not None
    assert "32 MiB of disk" in full.session_lost
    assert result_of(await run(pool, shared, "6 * 7")) == "42"


async def test_names_that_code_made_lead_the_caller_nowhere(
    pool: WasmSessionPool, identifier: str, tmp_path: Path
) -> None:
    code = (
        "import os\nos.symlink('../../../../../../../../etc', 'etc')\n"
        "os.symlink('../../../../../../../../etc/passwd', 'passwd')\n"
        "os.symlink('../tmp', 'tmp'); os.symlink('..', 'up'); os.makedirs('a/b'); "
        "os.rmdir('a/b'); os.symlink('../up', 'a/b')"
    )
    assert (await run(pool, identifier, code)).error is None
    for path in ("etc/passwd", "passwd", "tmp/x", "up/incoming/x", "a/b/incoming"):
        with pytest.raises(SessionFileError):
            async with pool.download_file(identifier, path):
                pass
        with pytest.raises(SessionFileError):
            await pool.upload_file(identifier, f"{path}/new", content(b"x"))
    listed = (await pool.list_files(identifier, recursive=True)).entries
    assert {entry.path for entry in listed} == {"a", "a/b", "etc", "passwd", "tmp", "up"}
