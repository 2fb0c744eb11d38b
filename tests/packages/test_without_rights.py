"""Where sessions share the server's identity and the machine's files, sets are copied to them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.package_index import make_wheel
from tests.support.reachable import reachable_python

if TYPE_CHECKING:
    from tests.support.package_index import Index

ROOT = Path(__file__).parents[2]
NOBODY = 65_534
PROGRAM = """
import json, os, sys
from pathlib import Path
import anyio
from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.pools import open_session_pool
from aca_mcp.settings import Settings

data, url, python = json.loads(os.environ["OF_THE_TEST"])
CODE = '''
import errno, os, tea_time
print(tea_time.version, os.path.exists(os.path.join(os.environ["HOME"], os.pardir, "packages")))
try:
    print(os.listdir(SETS))
except OSError as error:
    print(errno.errorcode[error.errno])
'''.replace("SETS", repr(data + "/packages/sets"))

async def main():
    settings = Settings(
        data_dir=Path(data), package_index=url, local_python=Path(python), local_disk_mib=16,
        local_isolation="landlock", local_preimport="", local_ready_sessions=0,
    )
    told = {"uid": os.getuid()}
    async with open_session_pool(settings) as pool:
        made = await pool.install_packages("a-session", ["needs-tea"])
        told["installed"] = [each.name for each in made.installed]
        execution = await pool.execute("a-session", CODE, timeout_seconds=40)
        told["printed"] = execution.stdout.text + str(execution.error)
        other = await pool.execute("another-session", "import tea_time", timeout_seconds=40)
        told["other"] = other.error.name
        try:
            await pool.install_packages("a-session", ["heavy-tea"])
        except PackagesNotInstalledError as error:
            told["refused"] = error.message
    print(json.dumps(told))

anyio.run(main)
"""


def test_a_copy_goes_into_the_session_within_its_quota(index: Index, tmp_path: Path) -> None:
    heavy = {"heavy_tea/__init__.py": "", "heavy_tea/leaves": os.urandom(17 << 20)}
    make_wheel(index.directory, "heavy-tea", files=heavy)
    identity = NOBODY if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory(prefix="aca-mcp-data-") as data, reachable_python() as python:
        os.chown(data, identity, -1)
        kept = {"PATH": os.environ["PATH"], "UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull}
        done = subprocess.run(
            [python, "-c", PROGRAM],
            env={
                **kept,
                "HOME": data,
                "PYTHONPATH": str(ROOT),
                "OF_THE_TEST": json.dumps([data, index.url, python]),
            },
            cwd=data,
            user=identity if os.geteuid() == 0 else None,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["uid"] == identity
    assert told["installed"] == ["needs-tea", "tea-time"]
    assert told["printed"] == "1.0 True\nEACCES\nNone"
    assert told["other"] == "ModuleNotFoundError"
    assert "ACA_MCP_LOCAL_DISK_MIB" in told["refused"]
