"""Control groups, in directories that look like the kernel's, and in the kernel's where it lets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from aca_mcp.background_tasks import background_tasks
from aca_mcp.errors import PoolUnavailableError
from aca_mcp.local.cgroups import GroupLimits, Groups, SessionGroup, find_groups
from aca_mcp.local.exceeded_limits import limits_of
from aca_mcp.local.pool import open_local_pool
from aca_mcp.local.session_cgroups import ControlGroups, open_control_groups
from aca_mcp.local.spawn import Spawner
from aca_mcp.local.template_replacement import open_templates
from tests.local.pools import configuration, control_groups, run
from tests.support.processes import descendants
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

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
    group = groups.create(LIMITS)
    (made,) = set(host.delegated.iterdir()) - before
    assert made.name.startswith(f"aca-mcp-{os.getpid()}-")
    assert (made / "memory.max").read_text() == "12345678"
    assert (made / "pids.max").read_text() == "17"
    assert (made / "cpu.weight").read_text() == "50"
    assert groups.divide_time
    assert group.entrances == (made / "cgroup.procs",)


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
    group = groups.create(LIMITS)
    assert {(each.parents[1], each.name) for each in group.entrances} == {
        (tmp_path / "memory/ours", "tasks"),
        (tmp_path / "pids", "tasks"),
        (tmp_path / "cpu/ours", "tasks"),
    }
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
    assert SessionGroup((tmp_path / "tasks",)).ran_out_of_memory() is ran_out


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


def enter(group: SessionGroup, pid: int = 0) -> None:
    for entrance in group.entrances:
        entrance.write_text(str(pid))


@pytest.fixture
def group() -> Iterator[SessionGroup | None]:
    """One of the machine's; None on most, where nobody may make one: see tests of the pool."""
    groups = find_groups()
    made = groups and groups.create(LIMITS_OF_A_SESSION)
    yield made
    if groups is not None:
        groups.remove_all()
    if made is not None:
        assert not any(entrance.parent.exists() for entrance in made.entrances)


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_where_the_kernel_lets_a_group_holds_its_processes(
    group: SessionGroup | None, waiting: subprocess.Popen[bytes]
) -> None:
    if group is not None:
        enter(group, waiting.pid)
        assert f"aca-mcp-{os.getpid()}-" in Path(f"/proc/{waiting.pid}/cgroup").read_text()
        waiting.kill()
        waiting.wait()
        group.remove()
        with pytest.raises(FileNotFoundError):
            enter(group)


def test_a_group_is_removed_although_its_processes_are_only_just_ending(
    group: SessionGroup | None, waiting: subprocess.Popen[bytes]
) -> None:
    if group is not None:
        enter(group, waiting.pid)
        ending = threading.Timer(0.1, waiting.kill)
        ending.start()
        group.remove()
        ending.join()
        with pytest.raises(FileNotFoundError):
            enter(group)


def test_a_group_that_could_not_be_removed_goes_at_the_end_of_its_pool(
    group: SessionGroup | None, waiting: subprocess.Popen[bytes]
) -> None:
    if group is not None:
        enter(group, waiting.pid)
        group.remove(end=0)
        enter(group, waiting.pid)  # there is one still
        waiting.kill()


async def test_a_group_that_could_not_be_removed_is_removed_later(
    waiting: subprocess.Popen[bytes],
) -> None:
    async with open_control_groups(LIMITS_OF_A_SESSION) as groups, background_tasks() as tasks:
        tasks.start_soon(groups.keep)
        async with groups.for_session() as group:
            if group is not None:
                await anyio.to_thread.run_sync(enter, group, waiting.pid)
                await anyio.to_thread.run_sync(group.remove, 0)
                waiting.kill()
                assert group.is_left
                await until(lambda: not group.entrances[0].parent.exists())


async def test_each_session_has_a_group_of_its_own(
    group: SessionGroup | None,
) -> None:
    async with open_control_groups(LIMITS_OF_A_SESSION) as groups, background_tasks() as tasks:
        tasks.start_soon(groups.keep)
        taken: list[SessionGroup | None] = []
        for pause in (0.0, 0.0, 0.5, 0.5):  # quicker than one can be made, and not
            async with groups.for_session() as one:
                taken.append(one)
            await anyio.sleep(pause)
    assert len(set(taken)) == (1 if group is None else len(taken))
    assert not any(each.entrances[0].parent.exists() for each in taken if each is not None)


async def test_code_and_all_that_it_starts_are_in_its_group_from_the_first_moment(
    group: SessionGroup | None,
) -> None:
    """Where the session's keeper is not: what code takes is to be its own loss."""
    strangers = descendants()
    many = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nprint(child.pid > 0)"
    async with open_local_pool(configuration(checkpoints=1)) as pool:
        await pool.metadata()
        beside = descendants(without=strangers)
        await run(pool, "first", many)
        inside = descendants(without=strangers) - beside
        keeper = min(inside)
        of_each = [control_groups({pid}) for pid in inside - {keeper}]
        assert control_groups({keeper}) == set()
    assert len(of_each) >= 2  # what runs code, and what that has started
    assert of_each == [of_each[0]] * len(of_each)
    assert bool(of_each[0]) == (group is not None)


@pytest.mark.parametrize(
    ("file", "text"),
    [("memory.events", "max 9\noom_kill {}\n"), ("memory.oom_control", "oom_kill {}\n")],
)
def test_memory_that_ran_out_earlier_is_not_why_something_ended_now(
    tmp_path: Path, file: str, text: str
) -> None:
    group = SessionGroup((tmp_path / "tasks",))
    told: list[bool] = [group.ran_out_of_memory()]
    for killed in (0, 1, 1, 3):
        (tmp_path / file).write_text(text.format(killed))
        told.append(group.ran_out_of_memory())
    assert told == [False, False, True, False, True]


async def test_a_session_that_cannot_enter_its_group_is_not_started(tmp_path: Path) -> None:
    """Nor is its group left behind, where it can be removed."""
    entrance = tmp_path / "group" / "tasks"
    entrance.parent.mkdir()
    entrance.symlink_to("/dev/full")  # whoever writes there is told that there is no room

    class Full(ControlGroups):
        @asynccontextmanager
        async def for_session(self) -> AsyncGenerator[SessionGroup]:
            yield SessionGroup((entrance,))

    async with (
        open_templates(configuration(), None) as found,
        background_tasks() as tasks,
    ):
        groups = Full(LIMITS_OF_A_SESSION)
        spawner = Spawner(found, None, groups, limits_of(configuration()), tasks)
        with pytest.raises(PoolUnavailableError, match="No space left on device"):
            await spawner.spawn(ahead=False)
