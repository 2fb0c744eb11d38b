"""LangChain's Python tool, unmodified; its shell tool is refused cleanly."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from pathlib import Path

import requests
from langchain_azure_dynamic_sessions import SessionsBashTool, SessionsPythonREPLTool

endpoint = sys.argv[1]
tool = SessionsPythonREPLTool(
    pool_management_endpoint=endpoint, access_token_provider=lambda: "any"
)
assert json.loads(tool.invoke("1 + 1")) == {"result": 2, "stdout": "", "stderr": ""}
assert json.loads(tool.invoke("```python\nprint('a')\n```"))["stdout"] == "a\n"
assert "ZeroDivisionError" in json.loads(tool.invoke("1/0"))["stderr"]

up = tool.upload_file(
    data=io.BytesIO(b"shop,cups\nHarbour,310\nStation,420\n"), remote_file_path="cups.csv"
)
assert (up.filename, up.size_in_bytes, up.full_path) == ("cups.csv", 34, "/mnt/data/cups.csv")
code = "import pandas as pd\nt = pd.read_csv('/mnt/data/cups.csv')\nint(t.cups.sum())"
assert tool.execute(code)["result"] == 730
figure = tool.execute("import matplotlib.pyplot as plt\nplt.bar(t.shop, t.cups)\nplt.show()")
assert figure["result"]["type"] == "image"
assert figure["result"]["base64_data"].startswith("iVBOR")
tool.execute("t.to_json('/mnt/data/cups out.json')")
assert [file.filename for file in tool.list_files()] == ["cups out.json", "cups.csv"]
assert b"310" in tool.download_file(remote_file_path="cups out.json").read()
local = Path(tempfile.mkdtemp()) / "cups.csv"
tool.download_file(remote_file_path="cups.csv", local_file_path=str(local))
assert local.read_bytes().startswith(b"shop")
assert tool.upload_file(local_file_path=str(local)).filename == "cups.csv"

tool.delete_session()
deadline = time.monotonic() + 20
while tool.execute("'t' in globals()")["result"] is not False:  # it is deleted in the background
    assert time.monotonic() < deadline
    time.sleep(0.1)
tool.close()

shell = SessionsBashTool(pool_management_endpoint=endpoint, access_token_provider=lambda: "any")
try:
    shell.execute("echo hi")
except requests.HTTPError as error:
    assert error.response.status_code == 400
    assert "no shell" in error.response.text
else:
    raise AssertionError("a Python pool ran a shell command")
