"""LangChain's shell tool, unmodified, against a Shell pool."""

from __future__ import annotations

import io
import json
import sys

from langchain_azure_dynamic_sessions import SessionsBashTool

shell = SessionsBashTool(pool_management_endpoint=sys.argv[1], access_token_provider=lambda: "any")
done = json.loads(shell.invoke("echo hi; echo oh >&2; exit 3"))
assert (done["stdout"], done["stderr"]) == ("hi\n", "oh\n"), done
up = shell.upload_file(data=io.BytesIO(b"a,b\n"), remote_file_path="t.csv")
assert up.full_path.endswith("t.csv"), up
assert json.loads(shell.invoke("wc -l < /mnt/data/t.csv"))["stdout"].strip() == "1"
shell.invoke("echo out > /mnt/data/out.txt")
names = [file.filename for file in shell.list_files()]
assert {"t.csv", "out.txt"} <= set(names), names
assert shell.download_file(remote_file_path="out.txt").read() == b"out\n"
