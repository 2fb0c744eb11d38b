"""A client moves files: through the model, and between the work directory and the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interaction.conftest import in_one_era
from tests.support.calling import Caller, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interaction.conftest import Serve


def names_below(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*"))


async def test_text_goes_up_and_comes_down_as_it_is(call: Caller) -> None:
    for content in ("a,b\n1,2\n", '{"a": 1}', "null", "größe 数据 🎉"):
        await call("upload_file", path="data/größe.txt", content=content)
        assert await call("download_file", path="data/größe.txt") == content
        assert await call("execute_python", code="open('data/größe.txt').read()") == repr(content)
    assert (await call("list_files", recursive=True)).startswith("data/\tdirectory")
    await call("delete_file", path="data/größe.txt")
    assert await call.refusal("download_file", path="data/größe.txt")


async def test_absolute_paths_of_the_work_directory_are_understood(call: Caller) -> None:
    directory = await call("execute_python", code="import os; print(os.getcwd())")
    await call("upload_file", path=f"{directory}/a.txt", content="x")
    assert await call("download_file", path="a.txt") == "x"
    assert "a.txt" in await call("list_files", directory=directory)


async def test_packages_are_told(call: Caller) -> None:
    numpy, torch = (await call("list_packages", query="numpy torch")).splitlines()
    assert numpy.startswith("numpy 2.")
    assert torch.startswith("torch: not installed")


@in_one_era
async def test_the_work_directory_is_reached_only_where_it_is_set(
    call: Caller, serve: Serve, tmp_path: Path
) -> None:
    names = [tool.name for tool in (await call.client.list_tools()).tools]
    assert not any("work_dir" in name for name in names)
    (tmp_path / "sales.csv").write_text("city,amount\nOslo,3\n")
    (tmp_path / "link").symlink_to("/etc/passwd")
    async with serve(ACA_MCP_WORK_DIR=tmp_path) as more:
        assert await more("upload_from_work_dir", paths=["sales.csv"]) == (
            "sales.csv: copied, 19 bytes"
        )
        assert "link" in await more.refusal("upload_from_work_dir", paths=["link"])
        await more(
            "execute_python",
            code="import os\nos.makedirs('out'); open('out/total.txt', 'w').write('3')\n"
            "os.symlink('../../../etc/passwd', 'out/passwd')\n"
            "if hasattr(os, 'mkfifo'): os.mkfifo('out/fifo')",
        )
        assert await more("download_to_work_dir", paths=["out/total.txt"])
        for path in ("out/passwd", "out/fifo", "out", "../x", ".bashrc"):
            result = await more.result("download_to_work_dir", paths=[path])
            assert result.is_error, path
            assert text_of(result).startswith("not copied: ")
    assert (tmp_path / "out" / "total.txt").read_text() == "3"
    assert names_below(tmp_path) == ["link", "out", "sales.csv", "total.txt"]
