"""The walk-through of AutoGen's documentation page, over a PythonSession and over MCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from aca_mcp.pool import ExecutionStatus
from aca_mcp.session import CodeBlock, PythonSession
from tests.support.connecting import connected

if TYPE_CHECKING:
    from aca_mcp.pool import SessionPool

READ_TWO = """
with open("test_file_1.txt") as f:
    print(f.readlines()[0])
with open("test_file_2.txt") as f:
    print(f.readlines()[0])
"""
WRITE_TWO = """
with open("test_out_1.txt", "w") as f:
    f.write("Output one")
with open("test_out_2.txt", "w") as f:
    f.write("Output two")
"""


async def test_over_a_python_session(pool: SessionPool) -> None:
    async with PythonSession(pool) as session:
        (hello,) = await session.execute_code_blocks(
            [CodeBlock("import sys; print('hello world!')", "python")]
        )
        assert hello.stdout.text == "hello world!\n"

        await session.upload("test_file_1.txt", "test file 1")
        await session.upload("test_file_2.txt", "test file 2")
        read = await session.execute(READ_TWO)
        assert read.stdout.text == "test file 1\ntest file 2\n"

        assert (await session.execute(WRITE_TWO)).status is ExecutionStatus.SUCCEEDED
        listed = [entry.path for entry in (await session.list_files()).entries]
        assert {"test_out_1.txt", "test_out_2.txt"} <= set(listed)
        assert await session.download("test_out_1.txt") == b"Output one"
        assert await session.download("test_out_2.txt") == b"Output two"

        await session.execute("x = 'abcdefg'")
        assert (await session.execute("print(x)")).stdout.text == "abcdefg\n"
        await session.restart()
        gone = await session.execute("print(x)")
        assert gone.error is not None
        assert gone.error.name == "NameError"

        names = {package.name.lower() for package in await session.list_packages()}
        assert {"numpy", "pandas"} <= names


async def test_over_mcp(pool: SessionPool) -> None:
    with anyio.fail_after(60):
        async with connected(pool) as call:
            assert await call("execute_python", code="print('hello world!')") == "hello world!"
            await call("upload_file", path="test_file_1.txt", content="test file 1")
            await call("upload_file", path="test_file_2.txt", content="test file 2")
            assert await call("execute_python", code=READ_TWO) == "test file 1\ntest file 2"
            await call("execute_python", code=WRITE_TWO)
            listed = await call("list_files")
            assert "test_out_1.txt" in listed
            assert "test_out_2.txt" in listed
            assert "Output one" in await call("download_file", path="test_out_1.txt")
            assert "Output two" in await call("download_file", path="test_out_2.txt")
            await call("execute_python", code="x = 'abcdefg'")
            assert await call("execute_python", code="print(x)") == "abcdefg"
            await call("restart_session")
            gone = await call.refusal("execute_python", code="print(x)")
            assert "NameError: name 'x' is not defined" in gone
            assert "pandas" in await call("list_packages", query="pandas")
