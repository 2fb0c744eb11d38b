"""Semantic Kernel's tool, unmodified, over https: it takes nothing else."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio
from semantic_kernel.core_plugins import SessionsPythonTool


async def token() -> str:
    return "any"


async def main(endpoint: str) -> None:
    directory = Path(tempfile.mkdtemp())
    tool = SessionsPythonTool(
        auth_callback=token,
        pool_management_endpoint=endpoint,
        enable_dangerous_file_uploads=True,
        allowed_upload_directories={str(directory)},
    )
    tool.http_client.timeout = 60  # the first pandas of a session takes longer than five seconds
    told = await tool.execute_code("print('a')\n1 + 1")
    assert told == "Status:\nSuccess\nResult:\n2\nStdout:\na\n\nStderr:\n", told

    (directory / "cups.csv").write_text("shop,cups\nHarbour,310\nStation,420\n")
    up = await tool.upload_file(local_file_path=str(directory / "cups.csv"))
    assert up.full_path == "/mnt/data/cups.csv", up
    code = "import pandas as pd\nt = pd.read_csv('/mnt/data/cups.csv')\nint(t.cups.sum())"
    assert "Result:\n730\n" in await tool.execute_code(code)
    code = "import matplotlib.pyplot as plt\nplt.bar(t.shop, t.cups)\nplt.show()"
    assert "'type': 'image'" in await tool.execute_code(code)
    await tool.execute_code("t.to_json('/mnt/data/cups.json')")
    assert [file.filename for file in await tool.list_files()] == ["cups.csv", "cups.json"]
    out = directory / "cups.json"
    await tool.download_file(remote_file_name="cups.json", local_file_path=str(out))
    assert b"310" in out.read_bytes()
    assert "Failure" in await tool.execute_code("1/0")


anyio.run(main, sys.argv[1])
