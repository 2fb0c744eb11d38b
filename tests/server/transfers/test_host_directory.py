"""The host's work directory: every way out of it that a path, a link or a race could offer."""

from __future__ import annotations

import os
import socket
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import HostPathRefusedError
from aca_mcp.server.transfers.host_directory import WorkDir
from aca_mcp.server.transfers.host_names import host_parts
from tests.support.streams import content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The work directory, beside a secret."""
    (tmp_path / "secret").write_text("secret")
    directory = tmp_path / "work"
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "a.csv").write_text("1,2\n")
    return directory


@pytest.fixture
def work_dir(host: Path) -> Iterator[WorkDir]:
    """The same, opened."""
    opened = WorkDir(host, max_written_bytes=8 << 20)
    yield opened
    opened.close()


async def read(work_dir: WorkDir, path: str) -> bytes:
    async with aclosing(work_dir.read(path)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def refusal_to_read(work_dir: WorkDir, path: str) -> str:
    with pytest.raises(HostPathRefusedError) as refused:
        await read(work_dir, path)
    return str(refused.value)


async def refusal_to_write(work_dir: WorkDir, path: str, *, overwrite: bool = False) -> str:
    with pytest.raises(HostPathRefusedError) as refused:
        await work_dir.write(path, content(b"evil"), overwrite=overwrite)
    return str(refused.value)


def names(host: Path) -> list[str]:
    return sorted(str(path.relative_to(host)) for path in host.rglob("*") if path.is_file())


def _exchange_for_a_link(host: Path) -> None:
    host.rename(host.parent / "moved")
    host.symlink_to(host.parent)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "/etc/passwd",
        "..",
        "../secret",
        "data/../../secret",
        "./../secret",
        ".git/hooks/pre-commit",
        ".mcp.json",
        "data/.vscode/tasks.json",
        "GIT~1/config",
        "data\\..\\..\\secret",
        "a\nb",
        "a\0b",
        "zero\u200cwidth",
        "safe\u202etxt",
        "x" * 256,
    ],
)
async def test_such_paths_are_refused_both_ways(work_dir: WorkDir, path: str) -> None:
    assert await refusal_to_read(work_dir, path)
    assert await refusal_to_write(work_dir, path)


@pytest.mark.parametrize(
    "name",
    [
        "What? 2024.csv",
        "Report: Q3 <final>.csv",
        '"quoted" | *starred*.csv',
        "C:drive",
        "file.txt:stream",
        " leading",
        "trailing ",
        "trailing.",
        "Screenshot 3.04\u202fPM.png",
        "x" * 201,
    ],
)
async def test_what_a_user_has_is_read_whatever_its_name_and_written_only_by_names_for_all_systems(
    work_dir: WorkDir, host: Path, name: str
) -> None:
    (host / "data" / name).write_text(name)
    assert f"data/{name}" in await paths(work_dir, "data")
    assert f"data/{name}" in (await work_dir.find("data")).paths
    assert (await work_dir.find(f"data/{name}")).paths == (f"data/{name}",)
    assert await read(work_dir, f"data/{name}") == name.encode()
    assert "Let code give it another one" in await refusal_to_write(work_dir, f"data/new/{name}")


async def test_spaces_of_every_width_are_spaces(work_dir: WorkDir, host: Path) -> None:
    (host / "Screenshot 3.04\u202fPM.png").touch()
    found = await work_dir.find("Screenshot 3.04 PM.png")
    assert found.paths == ("Screenshot 3.04\u202fPM.png",)
    assert await work_dir.suggest("Screenshot 3.04 PM.png") == found.paths[0]


async def test_what_a_listing_leaves_out_is_said_with_the_reason(
    work_dir: WorkDir, host: Path
) -> None:
    for name in (".env", "odd\nname.csv", "data/back\\slash.csv", os.fsdecode(b"data/\xe4.csv")):
        (host / name).touch()
    for number in range(5):
        (host / "data" / f"link{number}.csv").symlink_to("a.csv")
    (host / "data" / "hard.txt").hardlink_to(host.parent / "secret")
    os.mkfifo(host / "data" / "fifo")
    _, said = await work_dir.list()
    assert said == (
        "[left out: names that begin with a dot, 1; names that cannot be written in a call, 1 "
        "('odd\\nname.csv'). The user can copy or rename what is needed of them]"
    )
    # Of a search, what it would have found, and of a copy, what would have been copied.
    for said in (
        (await work_dir.list(pattern="*.csv"))[1],
        (await work_dir.find("data/*.csv")).left_out,
    ):
        assert "links, 5 (data/link0.csv, data/link1.csv, data/link2.csv, ...)" in said
        assert r"data/back\slash.csv, 'data/\udce4.csv'" in said
        assert "hard" not in said
        assert "dot" not in said
    assert "odd" not in said
    (host / "only").mkdir()
    (host / "only" / "link").symlink_to("../data/a.csv")
    with pytest.raises(HostPathRefusedError, match=r"left out: links, 1 \(only/link\)"):
        await work_dir.find("only/*")
    assert "hard.txt" in (await work_dir.find("data")).left_out
    assert "what is no file, 1 (data/fifo)" in (await work_dir.find("data")).left_out
    assert (await work_dir.find("data/a.csv")).left_out == ""


@pytest.mark.parametrize("path", ["a.csv", "data/a b.csv", "./a//b.txt", "größe/数据.csv"])
def test_ordinary_paths_are_taken(path: str) -> None:
    assert "/".join(host_parts(path)) == path.removeprefix("./").replace("//", "/")


async def test_a_file_is_read(work_dir: WorkDir) -> None:
    assert await read(work_dir, "data/a.csv") == b"1,2\n"


async def test_large_and_empty_files_are_read_and_written_whole(
    work_dir: WorkDir, host: Path
) -> None:
    (host / "big").write_bytes(bytes(range(256)) * 16384)
    (host / "empty").touch()
    assert await read(work_dir, "big") == bytes(range(256)) * 16384
    assert await read(work_dir, "empty") == b""
    assert await work_dir.write("copy", work_dir.read("big")) == 4 << 20
    assert await work_dir.write("none", content()) == 0
    assert (host / "copy").read_bytes() == (host / "big").read_bytes()
    assert (host / "none").read_bytes() == b""


async def test_a_missing_file_is_answered_with_the_names_that_are_close(
    work_dir: WorkDir, host: Path
) -> None:
    (host / ".a.csv").touch()
    for number in range(60):
        (host / f"other {number:02}.txt").touch()
    (host / "data" / "Umsätze 2024.csv").touch()
    for typed in ("umsaetze2024.csv", "UMSÄTZE 2024.CSV", "data/Umsatze-2024.csv"):
        refused = await refusal_to_read(work_dir, typed)
        assert "there is no such file. Close to it: data/Umsätze 2024.csv" in refused
    refused = await refusal_to_read(work_dir, "zzz")
    assert refused == "zzz: there is no such file. list_work_dir shows the 62 files that there are."


async def test_an_empty_work_directory_is_said_to_be_empty(tmp_path: Path) -> None:
    refused = await refusal_to_read(WorkDir(tmp_path, max_written_bytes=1), "b.csv")
    assert refused == "b.csv: there is no such file. The work directory has no files."


async def test_links_are_not_followed(work_dir: WorkDir, host: Path) -> None:
    (host / "link").symlink_to("../secret")
    (host / "up").symlink_to("..")
    (host / "inside").symlink_to("data/a.csv")
    assert "link" in await refusal_to_read(work_dir, "link")
    assert "on its way" in await refusal_to_read(work_dir, "up/secret")
    assert "link" in await refusal_to_read(work_dir, "inside")
    for path in ("link", "up/secret", "up/new", "inside"):
        for overwrite in (False, True):
            assert "link" in await refusal_to_write(work_dir, path, overwrite=overwrite)
    assert (host.parent / "secret").read_text() == "secret"
    assert sorted(path.name for path in host.parent.iterdir()) == ["secret", "work"]


async def test_a_second_name_of_a_file_elsewhere_is_refused(work_dir: WorkDir, host: Path) -> None:
    (host / "hard").hardlink_to(host.parent / "secret")
    assert "hard links" in await refusal_to_read(work_dir, "hard")
    assert "hard links" in await refusal_to_write(work_dir, "hard", overwrite=True)
    assert (host.parent / "secret").read_text() == "secret"


async def test_what_is_no_plain_file_is_refused_without_waiting(
    work_dir: WorkDir, host: Path
) -> None:
    os.mkfifo(host / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host / "socket"))
        for path in ("fifo", "socket"):
            assert "not a regular file" in await refusal_to_read(work_dir, path)
            assert "not a regular file" in await refusal_to_write(work_dir, path, overwrite=True)
    assert "directory" in await refusal_to_read(work_dir, "data")
    assert "directory" in await refusal_to_write(work_dir, "data", overwrite=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
async def test_devices_are_refused(work_dir: WorkDir, host: Path) -> None:
    try:
        os.mknod(host / "zero", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this system makes no devices")
    assert "not a regular file" in await refusal_to_read(work_dir, "zero")


async def test_a_new_file_is_written_with_its_directories(work_dir: WorkDir, host: Path) -> None:
    assert await work_dir.write("out/x/plot.png", content(b"ab", b"c")) == 3
    assert (host / "out" / "x" / "plot.png").read_bytes() == b"abc"
    assert (host / "out" / "x" / "plot.png").stat().st_mode & 0o111 == 0
    assert names(host) == ["data/a.csv", "out/x/plot.png"]


async def test_nothing_is_overwritten_unless_asked(work_dir: WorkDir, host: Path) -> None:
    assert "overwrite=true" in await refusal_to_write(work_dir, "data/a.csv")
    assert (host / "data" / "a.csv").read_text() == "1,2\n"
    await work_dir.write("data/a.csv", content(b"new"), overwrite=True)
    assert (host / "data" / "a.csv").read_text() == "new"


async def test_a_file_that_appears_meanwhile_is_not_overwritten(
    work_dir: WorkDir, host: Path
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"late"
        (host / "report").write_text("first")

    with pytest.raises(HostPathRefusedError, match="overwrite=true"):
        await work_dir.write("report", slow())
    assert (host / "report").read_text() == "first"
    assert names(host) == ["data/a.csv", "report"]


async def test_a_directory_exchanged_for_a_link_meanwhile_leads_nowhere(
    work_dir: WorkDir, host: Path
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"evil"
        (host / "data").rename(host / "moved")
        (host / "data").symlink_to("..")

    await work_dir.write("data/secret", slow())
    assert (host.parent / "secret").read_text() == "secret"
    assert (host / "moved" / "secret").read_text() == "evil"


async def test_a_copy_that_fails_leaves_nothing(work_dir: WorkDir, host: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise HostPathRefusedError("broken")

    with pytest.raises(HostPathRefusedError, match="broken"):
        await work_dir.write("half", broken())
    assert names(host) == ["data/a.csv"]


async def test_what_the_system_says_is_passed_on(work_dir: WorkDir, host: Path) -> None:
    (host / "file").touch()
    assert "on its way" in await refusal_to_write(work_dir, "file/below")
    (host / "data").rename(host / "other")
    await work_dir.write("data/new", content(b"x"))  # made again


async def test_the_directory_stays_the_one_that_was_opened(work_dir: WorkDir, host: Path) -> None:
    _exchange_for_a_link(host)
    assert await read(work_dir, "data/a.csv") == b"1,2\n"
    assert "no such file" in await refusal_to_read(work_dir, "secret")


async def paths(work_dir: WorkDir, directory: str = "", pattern: str = "") -> list[str]:
    listing, _ = await work_dir.list(directory, pattern)
    return [entry.path for entry in listing.entries]


async def test_a_listing_has_what_may_be_copied_and_nothing_else(
    work_dir: WorkDir, host: Path
) -> None:
    (host / "b.csv").touch()
    (host / ".secret").touch()
    (host / "link").symlink_to("../secret")
    (host / "odd\nname").touch()
    (host / "hard").hardlink_to(host.parent / "secret")
    os.mkfifo(host / "fifo")
    assert await paths(work_dir) == ["b.csv", "data"]
    assert await paths(work_dir, "data") == ["data/a.csv"]
    assert await paths(work_dir, str(host / "data")) == ["data/a.csv"]
    assert await paths(work_dir, pattern="*.csv") == ["b.csv", "data/a.csv"]
    assert await paths(work_dir, pattern="data/*.csv") == ["data/a.csv"]
    with pytest.raises(HostPathRefusedError, match="no such directory"):
        await work_dir.list("date")
    with pytest.raises(HostPathRefusedError, match="may not leave"):
        await work_dir.list("..")


async def test_a_long_listing_is_cut_and_says_so(work_dir: WorkDir, host: Path) -> None:
    for number in range(600):
        (host / f"{number:03}").touch()
    listing, _ = await work_dir.list()
    assert (len(listing.entries), listing.truncated) == (500, True)
    with pytest.raises(HostPathRefusedError, match="more than 500 files"):
        await work_dir.find("*")


async def test_a_path_stands_for_a_file_a_directory_or_a_pattern(
    work_dir: WorkDir, host: Path
) -> None:
    (host / "data" / "deep").mkdir()
    (host / "data" / "deep" / "b.csv").touch()
    (host / "data" / "deep" / "c.txt").touch()
    everything = ("data/a.csv", "data/deep/b.csv", "data/deep/c.txt")
    assert (await work_dir.find("data/a.csv")).paths == ("data/a.csv",)
    assert (await work_dir.find(f"{host}/data/a.csv")).paths == ("data/a.csv",)
    assert (await work_dir.find("/mnt/data/data/a.csv")).paths == ("data/a.csv",)
    for whole in ("data", "data/"):
        assert (await work_dir.find(whole)).paths == everything
    assert (await work_dir.find("data/**")).paths == everything
    assert (await work_dir.find("data/**/*.csv")).paths == everything[:2]
    assert (await work_dir.find(f"{host}/data/*.csv")).paths == everything[:1]
    with pytest.raises(HostPathRefusedError, match="no file is there that may be copied"):
        await work_dir.find("*.xlsx")


async def test_a_file_is_suggested_by_its_path_or_by_a_name_that_only_one_has(
    work_dir: WorkDir, host: Path
) -> None:
    for named in ("data/a.csv", str(host / "data" / "a.csv"), "a.csv", "C:\\Users\\me\\a.csv"):
        assert await work_dir.suggest(named) == "data/a.csv"
    (host / "a.csv").touch()
    assert await work_dir.suggest("a.csv") == "a.csv"
    assert await work_dir.suggest("elsewhere/a.csv") is None
    for named in ("b.csv", "../secret", "/etc/passwd", "", "x" * 5000, "a\0b"):
        assert await work_dir.suggest(named) is None


@pytest.mark.parametrize("name", ["CLAUDE.md", "docs/AGENTS.md", "claude.MD", "Makefile"])
async def test_what_tools_trust_by_its_name_is_written_only_where_the_user_asked(
    work_dir: WorkDir, host: Path, name: str
) -> None:
    for overwrite in (False, True):
        refused = await refusal_to_write(work_dir, name, overwrite=overwrite)
        assert "trusted_names" in refused
    with pytest.raises(HostPathRefusedError, match="trust a file of that name"):
        await work_dir.write(name, content(b"x"), trusted_names=["README.md"])
    await work_dir.write(name, content(b"x"), trusted_names=[name.rpartition("/")[2]])
    assert (host / name).read_bytes() == b"x"


async def test_how_much_is_written_is_bounded_and_the_limit_has_its_name(
    work_dir: WorkDir, host: Path
) -> None:
    await work_dir.write("first", content(bytes(5 << 20)))
    with pytest.raises(HostPathRefusedError, match=r"more than 8 MiB .* ACA_MCP_WORK_DIR_MAX_MIB"):
        await work_dir.write("second", content(*[bytes(1 << 20)] * 5))
    assert names(host) == ["data/a.csv", "first"]
