"""A Jupyter kernel by way of stdin and stdout: a cell in JSON a line, its value as text a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from jupyter_client.manager import start_new_kernel


def main() -> None:
    # With it a kernel does not read what processes of the code print.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    manager, client = start_new_kernel(
        kernel_name="python3",
        extra_arguments=["--HistoryManager.hist_file=history.sqlite"],
        stdout=subprocess.DEVNULL,  # where it repeats what processes of the code print
    )
    try:
        for line in sys.stdin:
            said: list[str] = []

            def hear(message: dict[str, dict[str, dict[str, str]]], said: list[str] = said) -> None:
                content = message["content"]
                if "data" in content:
                    said.append(content["data"].get("text/plain", ""))
                elif "traceback" in content:
                    said.append("\n".join(content["traceback"]))

            client.execute_interactive(
                json.loads(line), allow_stdin=False, output_hook=hear, timeout=150
            )
            print(json.dumps("".join(said)), flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main()
