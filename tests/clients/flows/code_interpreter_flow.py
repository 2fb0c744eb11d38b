"""The client azure-dynamic-sessions-code-interpreter, unmodified."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from azure_dynamic_sessions_code_interpreter import CodeInterpreterTool

tool = CodeInterpreterTool(pool_management_endpoint=sys.argv[1])
tool.access_token_provider = lambda: "any"
assert tool.execute("1 + 1")["result"] == 2
assert tool.execute("```python\nprint('a')\n```")["stdout"] == "a\n"
assert "ZeroDivisionError" in tool.execute("1/0")["stderr"]

directory = Path(tempfile.mkdtemp())
(directory / "cups.csv").write_text("shop,cups\nHarbour,310\nStation,420\n")
up = tool.upload_file(local_file_path=str(directory / "cups.csv"))
assert (up.filename, up.full_path) == ("cups.csv", "/mnt/data/cups.csv")
code = "import pandas as pd\nt = pd.read_csv('/mnt/data/cups.csv')\nint(t.cups.sum())"
assert tool.execute(code)["result"] == 730
figure = tool.execute("import matplotlib.pyplot as plt\nplt.bar(t.shop, t.cups)\nplt.show()")
assert figure["result"]["type"] == "image"
assert figure["result"]["base64_data"].startswith("iVBOR")
tool.execute("t.to_json('/mnt/data/cups out.json')")
assert [file.filename for file in tool.list_files()] == ["cups out.json", "cups.csv"]
assert b"310" in tool.download_file(remote_file_path="cups out.json").read()
