"""AutoGen's executor, unmodified: the walk-through of its documentation page, and a figure."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, with_requirements
from autogen_ext.code_executors.azure import ACADynamicSessionsCodeExecutor


class Credential:
    def get_token(self, *scopes: str, **kwargs: object) -> object:
        return type("Token", (), {"token": "any", "expires_on": 2**40})()


@with_requirements(python_packages=["pandas"], global_imports=["pandas"])
def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def main(endpoint: str) -> None:
    cancellation = CancellationToken()

    def executor(**options: object) -> ACADynamicSessionsCodeExecutor:
        return ACADynamicSessionsCodeExecutor(
            pool_management_endpoint=endpoint,
            credential=Credential(),
            work_dir=work_directory,
            **options,
        )

    async def run(code: str, language: str = "python") -> tuple[int, str]:
        result = await python.execute_code_blocks([CodeBlock(code, language)], cancellation)
        return result.exit_code, result.output

    work_directory = Path(tempfile.mkdtemp())
    python = executor()
    assert await run("import sys; print('hello world!')") == (0, "hello world!\n")

    for number in (1, 2):
        (work_directory / f"test_file_{number}.txt").write_text(f"test file {number}")
    await python.upload_files(["test_file_1.txt", "test_file_2.txt"], cancellation)
    listed = await python.get_file_list(cancellation)
    assert {"test_file_1.txt", "test_file_2.txt"} <= set(listed), listed
    code = "for n in (1, 2):\n    with open(f'test_file_{n}.txt') as f:\n        print(f.read())"
    assert await run(code) == (0, "test file 1\ntest file 2\n")

    code = (
        "for n in (1, 2):\n"
        "    with open(f'test_out_{n}.txt', 'w') as f:\n"
        "        f.write(f'out {n}')"
    )
    assert (await run(code))[0] == 0
    listed = await python.get_file_list(cancellation)
    assert {"test_out_1.txt", "test_out_2.txt"} <= set(listed), listed
    paths = await python.download_files(["test_out_1.txt", "test_out_2.txt"], cancellation)
    assert [Path(path).read_text() for path in paths] == ["out 1", "out 2"]

    assert (await run("x = 'abcdefg'"))[0] == 0
    assert await run("print(x)") == (0, "abcdefg\n")
    await python.restart()
    exit_code, output = await run("print(x)")
    assert exit_code == 1
    assert "NameError" in output

    packages = await python.get_available_packages(cancellation)
    assert {"numpy", "pandas"} <= packages, packages
    assert (await run("!pip install pandas\nimport pandas"))[0] == 0
    exit_code, output = await run("!pip install no-such-package-anywhere\nprint(1)")
    assert exit_code == 1
    assert "no-such-package-anywhere" in output

    (work_directory / "cups.csv").write_text("shop,cups\nHarbour,310\nStation,420\n")
    await python.upload_files(["cups.csv"], cancellation)
    code = (
        "import pandas as pd, matplotlib.pyplot as plt\n"
        "t = pd.read_csv('cups.csv'); t.plot.bar(x='shop'); plt.savefig('cups.png')\n"
        "plt.close('all'); print(t.cups.sum())"
    )
    assert await run(code) == (0, "730\n")
    (figure,) = await python.download_files(["cups.png"], cancellation)
    assert Path(figure).read_bytes().startswith(b"\x89PNG")

    python = executor(functions=[add])
    assert await run("print(add(1, 2))") == (0, "3\n")


anyio.run(main, sys.argv[1])
