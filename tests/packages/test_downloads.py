"""What is too large, cut off, spoiled or has no room leaves nothing behind, by either installer."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.installing.commands import Installer, InstallerError, find_installer
from aca_mcp.installing.wheels import Target
from aca_mcp.packages.broker import PackageBroker
from aca_mcp.packages.downloads import Downloads
from aca_mcp.packages.requirements import Policy
from aca_mcp.packages.store import PackageStore
from tests.sandbox.programs import OWN_MOUNTS, run
from tests.support.package_index import make_wheel
from tests.support.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aca_mcp.packages.broker import PackageSet
    from tests.support.package_index import Index

HERE = Target(python=sys.executable)
PIP = Installer("pip", (sys.executable, "-m", "pip"))
MEBIBYTE = 2**20


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "store")


@pytest.fixture(params=[find_installer(), PIP], ids=lambda each: each.name)
def either(request: pytest.FixtureRequest, index: Index, store: PackageStore) -> PackageBroker:
    """By either installer: what differs between them."""
    return made_for(store, index, request.param)


@pytest.fixture
def broker(index: Index, store: PackageStore) -> PackageBroker:
    return made_for(store, index, find_installer())


def made_for(store: PackageStore, index: Index, installer: Installer) -> PackageBroker:
    return PackageBroker(
        store,
        Policy("index"),
        index=index.url,
        installer=installer,
        max_set_bytes=2 * MEBIBYTE,
    )


async def provide(broker: PackageBroker, *names: str) -> PackageSet:
    return await broker.provide(names, HERE, installed={}, who="somebody")


async def refusal(broker: PackageBroker, *names: str) -> str:
    with pytest.raises(PackagesNotInstalledError) as refused:
        await provide(broker, *names)
    return refused.value.message


def left_in(store: PackageStore) -> list[str]:
    """What is in the store: its records, and what is being made."""
    root = store.sets.parent
    return [path.name for name in ("records", "staging") for path in (root / name).iterdir()]


async def test_what_is_larger_than_its_wheel_tells_is_not_used(
    broker: PackageBroker, index: Index
) -> None:
    await _is_refused_as_too_large(broker, index, {"bomb.bin": bytes(8 * MEBIBYTE)})


async def test_many_files_are_not_more_than_one(broker: PackageBroker, index: Index) -> None:
    await _is_refused_as_too_large(broker, index, {f"{n}.bin": bytes(MEBIBYTE) for n in range(4)})


async def _is_refused_as_too_large(
    broker: PackageBroker, index: Index, files: Mapping[str, bytes]
) -> None:
    wheel = make_wheel(index.directory, "bomb", files=files)
    assert wheel.stat().st_size < MEBIBYTE
    said = await refusal(broker, "bomb")
    assert "bomb has more than 2 MiB, the most that is installed at once." in said
    assert left_in(broker.store) == []


async def test_what_is_known_to_be_too_large_is_not_fetched(
    index: Index, store: PackageStore
) -> None:
    index.tells_sizes = True
    for number in range(3):
        make_wheel(index.directory, f"heavy-{number}", files={"x.bin": os.urandom(MEBIBYTE)})
    names = [f"heavy-{number}" for number in range(3)]
    broker = PackageBroker(store, Policy("index"), index=index.url, max_set_bytes=2 * MEBIBYTE)
    said = await refusal(broker, *names)
    assert "has 3 MiB to fetch, of 2 MiB" in said
    assert left_in(store) == []
    assert sum(size.stat().st_size for size in store.cache.rglob("*.bin")) == 0


async def test_an_installer_that_fills_the_cache_is_stopped_and_the_cache_emptied(
    store: PackageStore,
) -> None:
    downloads = Downloads(store, max_bytes=MEBIBYTE, max_cache_bytes=MEBIBYTE)

    async def fill(installer: Installer, staged: Path) -> None:
        for number in range(10_000):
            file = Path(installer.variables()["UV_CACHE_DIR"], str(number))
            await anyio.to_thread.run_sync(file.write_bytes, bytes(64 * 1024))
            await anyio.sleep(0.01)

    with anyio.fail_after(60), pytest.raises(InstallerError, match="too large"):
        await downloads.within_bounds(PIP, fill)
    assert list(store.cache.iterdir()) == []
    assert left_in(store) == []


def test_a_cache_that_another_server_uses_is_not_emptied(store: PackageStore) -> None:
    """Servers of one user share a store."""
    (store.cache / "wheel").touch()
    held = PackageStore(store.sets.parent).hold_cache()
    staged = store.begin()
    store.empty_cache(staged)
    assert (store.cache / "wheel").exists()
    os.close(held)
    store.empty_cache(staged)
    store.discard(staged)
    assert list(store.cache.iterdir()) == left_in(store) == []


async def test_the_user_s_own_cache_is_left_alone(broker: PackageBroker, tmp_path: Path) -> None:
    await provide(broker, "tea-time")
    assert not (tmp_path / "uv-cache").exists()


async def test_a_wheel_that_is_in_the_cache_is_not_fetched_for_another_set(
    broker: PackageBroker, index: Index
) -> None:
    await provide(broker, "tea-time<1.1")
    index.asked.clear()
    made = await provide(broker, "needs-tea")
    assert [pin.name for pin in made.installed] == ["needs-tea", "tea-time"]
    assert not [path for path in index.asked if path.startswith("/wheels/tea_time")]


async def test_a_download_that_nobody_waits_for_any_more_leaves_nothing(
    broker: PackageBroker, index: Index
) -> None:
    index.stuck.add("tea-time")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provide, broker, "tea-time")
        await anyio.to_thread.run_sync(index.is_stuck.wait, 30)
        tasks.cancel_scope.cancel()
    assert left_in(broker.store) == []
    index.stuck.clear()
    assert (await provide(broker, "tea-time")).directory is not None


async def test_an_installer_that_is_killed_leaves_nothing(
    either: PackageBroker, index: Index
) -> None:
    index.stuck.add("tea-time")
    strangers = descendants()
    said: list[str] = []

    async def ask() -> None:
        said.append(await refusal(either, "tea-time"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.to_thread.run_sync(index.is_stuck.wait, 30)
        # The one that asked what the wheel needs may have ended, and the next not yet begun.
        while not said:
            for child in descendants(without=strangers):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            await anyio.sleep(0.01)
    assert "it was killed" in said[0]
    assert left_in(either.store) == []
    index.stuck.clear()
    assert (await provide(either, "tea-time")).directory is not None


async def test_a_wheel_that_is_not_what_the_index_says_is_not_used(
    either: PackageBroker, index: Index
) -> None:
    index.spoiled.add("tea-time")
    assert "is not what the index says it is" in await refusal(either, "tea-time")
    assert left_in(either.store) == []
    index.spoiled.clear()
    made = await provide(either, "tea-time")
    assert made.directory is not None


async def test_a_wheel_that_is_exchanged_changes_no_set_that_is_there(
    broker: PackageBroker, index: Index
) -> None:
    first = await provide(broker, "tea-time")
    make_wheel(index.directory, "tea-time", "1.1", {"tea_time/__init__.py": "version = 'evil'\n"})
    assert "Hash mismatch" in await refusal(broker, "tea-time")  # of what is in the cache
    assert first.directory is not None
    assert "evil" not in (first.directory / "tea_time/__init__.py").read_text()


def test_a_full_disk_is_said_and_leaves_nothing(index: Index, tmp_path: Path) -> None:
    make_wheel(index.directory, "heavy", files={"heavy.bin": os.urandom(4 * MEBIBYTE)})
    found = run(ON_A_SMALL_DISK, place=str(tmp_path), url=index.url)
    for told in cast("list[dict[str, object]]", found):
        assert "The server's disk is full. Nothing was installed." in str(told["said"]), told
        assert told["left"] == []
        assert told["afterwards"] == ["tea-time"]


ON_A_SMALL_DISK = (
    OWN_MOUNTS
    + """
import anyio
from aca_mcp.errors import PackagesNotInstalledError
from tests.packages.test_downloads import HERE, PIP, find_installer, left_in
from aca_mcp.packages.broker import PackageBroker
from aca_mcp.packages.requirements import Policy
from aca_mcp.packages.store import PackageStore

async def ask(installer):
    disk = Path(arguments["place"], f"disk-{installer.name}")
    disk.mkdir()
    syscalls.mount("tmpfs", str(disk), syscalls.MS_NOSUID, "size=3m")
    broker = PackageBroker(
        PackageStore(disk / "store"), Policy("index"), index=arguments["url"], installer=installer
    )
    try:
        await broker.provide(["heavy"], HERE, installed={}, who="somebody")
        said = ""
    except PackagesNotInstalledError as error:
        said = error.message
    left = left_in(broker.store)
    made = await broker.provide(["tea-time"], HERE, installed={}, who="somebody")
    return {"said": said, "left": left, "afterwards": [pin.name for pin in made.installed]}

print(json.dumps([anyio.run(ask, each) for each in (find_installer(), PIP)]))
"""
)


def records(store: PackageStore) -> list[Path]:
    return list((store.sets.parent / "records").iterdir())


async def test_what_a_set_has_is_recorded_with_the_hash_of_each_wheel(
    broker: PackageBroker, index: Index
) -> None:
    await provide(broker, "needs-tea")
    (record,) = records(broker.store)
    told = json.loads(record.read_text())
    assert told["size_bytes"] > 0
    hashes = {each["name"]: each["hashes"] for each in told["packages"]}
    assert [(each["name"], each["version"]) for each in told["packages"]] == [
        ("needs-tea", "2.0"),
        ("tea-time", "1.0"),
    ]
    wheel = index.directory / "tea_time-1.0-py3-none-any.whl"
    assert hashes["tea-time"] == [f"sha256:{sha256(wheel.read_bytes()).hexdigest()}"]
    assert "127.0.0.1" not in record.read_text()


async def test_a_set_that_nobody_used_for_a_month_is_removed_in_one_step(
    broker: PackageBroker,
) -> None:
    store = broker.store
    old, used = await provide(broker, "tea-time<1.1"), await provide(broker, "tea-time")
    assert old.directory is not None
    assert used.directory is not None
    long_ago = time.time() - 40 * 86_400
    os.utime(store.sets.parent / "records" / old.directory.name, (long_ago, long_ago))
    (store.sets.parent / "staging" / "left").mkdir()
    os.utime(store.sets.parent / "staging" / "left", (long_ago, long_ago))
    store.prune()
    assert not old.directory.exists()
    assert used.directory.is_dir()
    assert [record.name for record in records(store)] == [used.directory.name]
    assert left_in(store) == [used.directory.name]
    assert not store.has(old.directory)


async def test_when_the_store_is_full_what_was_used_longest_ago_makes_room(
    index: Index, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        make_wheel(index.directory, name, files={f"{name}.bin": os.urandom(MEBIBYTE)})
    store = PackageStore(tmp_path / "store", max_bytes=5 * MEBIBYTE // 2)
    broker = PackageBroker(store, Policy("index"), index=index.url)
    first, second = await provide(broker, "one"), await provide(broker, "two")
    assert "at most 2 MiB are kept" in await refusal(broker, "three")
    assert first.directory is not None
    assert second.directory is not None
    long_ago = time.time() - 8 * 86_400
    os.utime(store.sets.parent / "records" / first.directory.name, (long_ago, long_ago))
    assert (await provide(broker, "three")).directory is not None
    assert not first.directory.exists()
    assert second.directory.is_dir()
