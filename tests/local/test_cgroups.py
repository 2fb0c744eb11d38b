"""Control groups, in directories that look like the kernel's, and in the kernel's where it lets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from aca_mcp.local.cgroups import GroupLimits, Groups, SessionGroup, find_groups
from aca_mcp.local.control_groups import open_control_groups
from aca_mcp.local.excess import limits_of
from aca_mcp.local.spawn import Spawner
from aca_mcp.local.templates import open_templates
from tests.local.pools import configuration

LIMITS = GroupLimits(memory=12_345_678, processes=17)
LIMITS_OF_A_SESSION = GroupLimits(memory=2**30, processes=64)


@dataclass(frozen=True)
class Host:
    """A machine with its groups at a place, and this process in some of them."""

    mount: Path
    paths: dict[str, str]

    @property
    def delegated(self) -> Path:
        return self.mount / "user.slice" / "app.service"

    def find_groups(self) -> Groups | None:
        return find_groups(self.mount, self.paths)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """One whose service manager delegated a group, with ours below it."""
    made = Host(tmp_path, {"": "/user.slice/app.service/main"})
    (made.delegated / "main").mkdir(parents=True)
    (made.delegated / "cgroup.controllers").write_text("cpu memory pids\n")
    (made.delegated / "cgroup.procs").write_text("")
    return made


def test_a_delegated_group_is_divided(host: Host) -> None:
    groups = host.find_groups()
    assert groups is not None
    # A directory like the kernel's shows what was written last.
    assert (host.delegated / "cgroup.subtree_control").read_text() == "+cpu"
    before = set(host.delegated.iterdir())
    groups.create(LIMITS).add(4711)
    (made,) = set(host.delegated.iterdir()) - before
    assert made.name.startswith(f"aca-mcp-{os.getpid()}-")
    assert (made / "memory.max").read_text() == "12345678"
    assert (made / "pids.max").read_text() == "17"
    assert (made / "cpu.weight").read_text() == "50"
    assert groups.divide_time
    assert (made / "cgroup.procs").read_text() == "4711"


def test_a_group_with_processes_or_without_controllers_is_not(host: Host) -> None:
    (host.delegated / "cgroup.procs").write_text("1\n")
    assert host.find_groups() is None
    (host.delegated / "cgroup.procs").write_text("")
    (host.delegated / "cgroup.controllers").write_text("cpu pids\n")
    assert host.find_groups() is None


def test_the_first_version_has_a_hierarchy_for_each_limit(
    tmp_path: Path,
) -> None:
    for name in ("memory/ours", "pids", "cpu/ours", "unified"):
        (tmp_path / name).mkdir(parents=True)
    paths = {"": "/", "memory": "/ours", "pids": "/", "cpu": "/ours"}
    groups = find_groups(tmp_path, paths)
    assert groups is not None
    groups.create(LIMITS)
    limits = {path.read_text() for path in tmp_path.glob("*/**/*.limit_in_bytes")}
    assert "12345678" in limits
    assert "17" in {path.read_text() for path in tmp_path.glob("pids/*/pids.max")}
    assert groups.divide_time
    assert {path.read_text() for path in tmp_path.glob("cpu/ours/*/cpu.shares")} == {"512"}


def test_where_time_is_not_delegated_the_rest_is_all_the_same(host: Host) -> None:
    (host.delegated / "cgroup.controllers").write_text("memory pids\n")
    groups = host.find_groups()
    assert groups is not None
    assert not groups.divide_time


@pytest.mark.parametrize(
    ("file", "text", "ran_out"),
    [
        ("memory.events", "low 0\noom 0\noom_kill 0\n", False),
        ("memory.events", "low 0\noom 3\noom_kill 2\n", True),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", True),
        ("other", "oom_kill 1\n", False),
    ],
)
def test_a_group_tells_whether_memory_ran_out_in_it(
    tmp_path: Path, file: str, text: str, ran_out: bool
) -> None:
    (tmp_path / file).write_text(text)
    assert SessionGroup((tmp_path,)).ran_out_of_memory() is ran_out


def test_without_groups_there_are_none(tmp_path: Path) -> None:
    assert find_groups(tmp_path, {}) is None


def test_where_the_kernel_makes_no_group_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "pids" / "link").symlink_to("/proc/self/task")  # nobody makes a directory there
    assert find_groups(tmp_path, {"pids": "/link"}) is None


def test_groups_of_servers_that_were_killed_are_removed(host: Host) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = (f"aca-mcp-{ended.pid}-aa", f"aca-mcp-{os.getppid()}-bb", "aca-mcp-what-cc", "other-1")
    for name in names:
        (host.delegated / name).mkdir()
    assert host.find_groups() is not None
    assert [(host.delegated / name).exists() for name in names] == [False, True, True, True]


def test_where_the_kernel_lets_a_group_holds_its_processes() -> None:
    groups = find_groups()
    if groups is None:
        return  # as on most machines; what is done without is tested with the pool
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    group = groups.create(GroupLimits(memory=2**30, processes=5))
    try:
        group.add(process.pid)
        assert f"aca-mcp-{os.getpid()}-" in Path(f"/proc/{process.pid}/cgroup").read_text()
    finally:
        process.communicate(b"\n")
        group.remove()
    with pytest.raises(OSError, match=r"."):
        group.add(process.pid)


def test_a_group_is_removed_although_its_processes_are_only_just_ending() -> None:
    groups = find_groups()
    if groups is None:
        return  # likewise
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        group = groups.create(LIMITS_OF_A_SESSION)
        group.add(process.pid)
        ending = threading.Timer(0.1, process.kill)
        ending.start()
        group.remove()
        ending.join()
    with pytest.raises(FileNotFoundError):
        group.add(os.getpid())


def test_a_group_that_could_not_be_removed_goes_at_the_end_of_its_pool() -> None:
    groups = find_groups()
    if groups is None:
        return  # likewise
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        group = groups.create(LIMITS_OF_A_SESSION)
        group.add(process.pid)
        group.remove(end=0)
        group.add(process.pid)  # there is one still
        process.kill()
    groups.remove_all()
    with pytest.raises(FileNotFoundError):
        group.add(os.getpid())


async def test_a_group_made_for_a_session_that_ended_meanwhile_is_removed(tmp_path: Path) -> None:
    """Also while the pool closes, when every wait is cancelled: nobody else knows of the group."""
    late = tmp_path / "late"
    late.mkdir()
    async with (
        open_control_groups(LIMITS_OF_A_SESSION) as groups,
        open_templates(configuration(), None) as found,
        anyio.create_task_group() as tasks,
    ):
        spawner = Spawner(found, None, groups, limits_of(configuration()), tasks)
        kernel = await spawner.spawn(ahead=False)
        await kernel.kill(None)
        with anyio.CancelScope() as closing:
            closing.cancel()
            await kernel.join(SessionGroup((late,)))
    assert not late.exists()
