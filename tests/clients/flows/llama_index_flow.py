"""LlamaIndex's tool, unmodified."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from llama_index.tools.azure_code_interpreter import AzureCodeInterpreterToolSpec

directory = Path(tempfile.mkdtemp())
tool = AzureCodeInterpreterToolSpec(
    pool_management_endpoint=sys.argv[1], local_save_path=str(directory)
)
tool.access_token_provider = lambda: "any"
assert tool.code_interpreter("1 + 1")["properties"]["result"] == 2

(directory / "cups.csv").write_text("shop,cups\nHarbour,310\nStation,420\n")
(up,) = tool.upload_file(local_file_path=str(directory / "cups.csv"))
assert up.filename == "cups.csv"
code = "import pandas as pd\nt = pd.read_csv('/mnt/data/cups.csv')\nprint(t.cups.sum())"
assert tool.code_interpreter(code)["properties"]["stdout"] == "730\n"
figure = tool.code_interpreter("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
assert figure["properties"]["result"]["saved_to_local_path"] is True
(image,) = directory.glob("*.png")
assert image.read_bytes().startswith(b"\x89PNG")
tool.code_interpreter("t.to_json('/mnt/data/cups.json')")
assert [file.filename for file in tool.list_files()] == ["cups.csv", "cups.json"]
out = directory / "cups.json"
tool.download_file_to_local(remote_file_path="cups.json", local_file_path=str(out))
assert b"310" in out.read_bytes()
failed = tool.code_interpreter("1/0")["properties"]
assert failed["status"] == "Failure"
assert "ZeroDivisionError" in failed["stderr"]
