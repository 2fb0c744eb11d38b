"""The broker against a real index, by both installers: what it brings, and what it refuses."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from packaging.requirements import Requirement

from aca_mcp.errors import PackagesNotInstalledError, SettingsError
from aca_mcp.installing.commands import Installer, find_installer
from aca_mcp.installing.wheels import Target
from aca_mcp.packages.broker import PackageBroker, PackageSet
from aca_mcp.packages.requirements import Policy, read_policy
from aca_mcp.packages.store import PackageStore
from aca_mcp.request_context import serving
from tests.support.package_index import make_wheel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aca_mcp.pool import Package
    from tests.support.package_index import Index

HERE = Target(python=sys.executable)
PIP = Installer("pip", (sys.executable, "-m", "pip"))


@pytest.fixture
def broker(index: Index, tmp_path: Path) -> PackageBroker:
    return PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)


@pytest.fixture
def pip(index: Index, tmp_path: Path) -> PackageBroker:
    store = PackageStore(tmp_path / "store")
    return PackageBroker(store, Policy("index"), index=index.url, installer=PIP)


@pytest.fixture(params=["broker", "pip"], ids=[find_installer().name, "pip"])
def either(request: pytest.FixtureRequest) -> PackageBroker:
    """By either installer: what differs between them; a run of pip takes a second."""
    return request.getfixturevalue(request.param)


async def provide(
    broker: PackageBroker,
    *texts: str,
    installed: Mapping[str, str] | None = None,
    added: Collection[str] = (),
    who: str = "somebody",
) -> PackageSet:
    return await broker.provide(texts, HERE, installed=installed or {}, who=who, added=added)


async def refusal(
    broker: PackageBroker,
    *texts: str,
    installed: Mapping[str, str] | None = None,
    added: Collection[str] = (),
) -> str:
    with pytest.raises(PackagesNotInstalledError) as refused:
        await provide(broker, *texts, installed=installed, added=added)
    assert "Nothing was installed." in refused.value.message
    return refused.value.message


def imported(directory: Path, code: str) -> str:
    program = f"import sys; sys.path.append({str(directory)!r}); {code}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def named(packages: Iterable[Package]) -> list[str]:
    return [f"{each.name}=={each.version}" for each in packages]


def names_in(broker: PackageBroker) -> list[str]:
    """What is in the store, told by its records: the sets are not listed by anyone."""
    return sorted(path.name for path in (broker.store.sets.parent / "records").iterdir())


def staged(broker: PackageBroker) -> list[Path]:
    return list((broker.store.sets.parent / "staging").iterdir())


async def test_a_package_comes_with_what_it_needs(either: PackageBroker) -> None:
    made = await provide(either, "needs-tea")
    assert named(made.installed) == ["needs-tea==2.0", "tea-time==1.0"]
    assert made.directory is not None
    assert imported(made.directory, "import tea_time, needs_tea; print(tea_time.version)") == "1.0"
    assert made.size_bytes > 0


async def test_the_same_packages_are_stored_once(broker: PackageBroker) -> None:
    first = await provide(broker, "tea-time")
    second = await provide(broker, "tea-time", who="somebody else")
    assert second.directory == first.directory
    assert len(names_in(broker)) == 1


async def test_what_the_session_has_stays(broker: PackageBroker) -> None:
    made = await provide(broker, "Tea.Time", installed={"tea-time": "1.0"})
    assert (made.directory, named(made.present)) == (None, ["tea-time==1.0"])
    made = await provide(broker, "needs-tea", installed={"tea-time": "1.0"})
    assert named(made.installed) == ["needs-tea==2.0"]
    said = await refusal(broker, "tea-time>=1.1", installed={"tea-time": "1.0"})
    assert "has tea-time 1.0, which stays" in said
    assert "aca-mcp env create" in said
    said = await refusal(broker, "tea-time>=1.1", installed={"tea-time": "1.0"}, added=["tea-time"])
    assert "Use 1.0, or begin a new session" in said
    said = await refusal(broker, "needs-old-numpy", installed={"numpy": "2.3.0"})
    assert "needs-old-numpy needs numpy<1, and there is numpy 2.3.0, which stays" in said


async def test_requirements_of_other_interpreters_are_none(either: PackageBroker) -> None:
    made = await provide(either, "tea-time; python_version < '3'")
    assert (made.directory, made.present) == (None, ())
    lines = "tea-time<1; python_version < '3'", "tea-time==1.0; python_version >= '3'"
    made = await provide(either, *lines, installed={"tea-time": "1.0"})
    assert (made.directory, {each.name for each in made.present}) == (None, {"tea-time"})


async def test_what_the_index_does_not_have_is_said_with_names_like_it(
    either: PackageBroker,
) -> None:
    said = await refusal(either, "opnpyxl")
    assert "'opnpyxl'. Names like it: openpyxl. " in said
    assert "127.0.0.1" not in said


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("elsewhere", "No version of elsewhere has a wheel for this interpreter, only for cp27"),
        (
            "newly-elsewhere==2.0",
            "that fits, and sources are not built. Versions that have one: 1.0.",
        ),
    ],
)
async def test_what_has_no_wheel_for_the_interpreter_is_told_from_what_does_not_exist(
    wanted: str, says: str, broker: PackageBroker, index: Index
) -> None:
    _add_what_is_not_for_here(index)
    assert says in await refusal(broker, wanted)


async def test_pip_s_words_for_it_are_understood_too(pip: PackageBroker, index: Index) -> None:
    _add_what_is_not_for_here(index)
    said = await refusal(pip, "newly-elsewhere==2.0")
    assert "that fits, and sources are not built. Versions that have one: 1.0." in said


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("needs-elsewhere", "No version of elsewhere, which needs-elsewhere needs, has a wheel"),
        ("sklearn", "What is known as sklearn comes with the package scikit-learn. Nothing"),
        ("pytorch", "What is known as pytorch comes with the package torch. Nothing"),
        ("PIL", "What is known as pil comes with the package pillow. Nothing"),
        ("sources-alone", "No version of sources-alone has a wheel for this interpreter"),
        ("tea-time==9", "in a version that fits, and sources are not built. Versions that"),
        ("tea-time<1", "Versions that have one: 1.1."),
    ],
)
async def test_what_does_not_fit_is_told_with_what_would(
    wanted: str, says: str, broker: PackageBroker, index: Index
) -> None:
    _add_what_is_not_for_here(index)
    assert says in await refusal(broker, wanted)


def _add_what_is_not_for_here(index: Index) -> None:
    make_wheel(index.directory, "needs-elsewhere", requires=("elsewhere",))
    make_wheel(index.directory, "newly-elsewhere", "1.0")
    make_wheel(index.directory, "newly-elsewhere", "2.0", tag="cp39-cp39-win_amd64")
    for name in ("sources_alone", "sklearn"):
        (index.directory / f"{name}-1.0.tar.gz").write_bytes(b"")


async def test_a_wheel_of_another_machine_is_none_for_this_one(
    broker: PackageBroker, index: Index
) -> None:
    target = Target(python_version="3.11", machine="aarch64")
    make_wheel(index.directory, "compiled-tea", tag="cp311-cp311-manylinux2014_x86_64")
    with pytest.raises(PackagesNotInstalledError, match="No version of compiled-tea has a wheel"):
        await broker.provide(["compiled-tea"], target, installed={}, who="somebody")


async def test_an_index_that_cannot_be_reached_names_the_command_for_a_person(
    tmp_path: Path, index: Index
) -> None:
    store = PackageStore(tmp_path / "store")
    closed = PackageBroker(store, Policy("index"), index="http://127.0.0.1:9/simple/")
    said = await refusal(closed, "tea-time[hot]>=1.0; python_version > '3'")
    assert "cannot be reached" in said
    command = said.partition("aca-mcp env create NAME ")[2]
    assert shlex.split(command) == ['tea-time[hot]>=1.0; python_version > "3"']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--index-url=http://evil.example/simple", "option"),
        ("-r requirements.txt", "option"),
        ("git+https://example.org/x.git", "URL or a path"),
        ("tea @ https://example.org/tea.whl", "URL or a path"),
        ("./tea", "URL or a path"),
        ("/etc/passwd", "URL or a path"),
        ("..", "URL or a path"),
        ("tea time", "requirement"),
        ("", "requirement"),
        ("tea\n--index-url x", "names no package"),
        ("t\N{CYRILLIC SMALL LETTER IE}a", "names no package"),
        ("t" * 300, "names no package"),
        ("tea; import os", "requirement"),
        ("$(id)", "requirement"),
    ],
)
async def test_only_names_are_asked_for(text: str, says: str, index: Index, tmp_path: Path) -> None:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)
    assert says in await refusal(broker, text)
    assert index.asked == []


async def test_a_list_permits_what_is_on_it_in_the_versions_that_it_says(
    index: Index, tmp_path: Path
) -> None:
    policy = Policy("list", frozenset({Requirement("tea-time<1.1")}))
    broker = PackageBroker(PackageStore(tmp_path / "store"), policy, index=index.url)
    made = await provide(broker, "Tea_Time")
    assert named(made.installed) == ["tea-time==1.0"]
    assert "not on the list" in await refusal(broker, "needs-tea")


async def test_what_a_list_says_of_versions_holds_for_what_others_need(
    index: Index, tmp_path: Path
) -> None:
    listed = frozenset({Requirement("needs-tea"), Requirement("Tea_Time<1")})
    broker = PackageBroker(
        PackageStore(tmp_path / "store"), Policy("list", listed), index=index.url
    )
    assert "tea-time" in await refusal(broker, "needs-tea")
    made = await provide(broker, "needs-tea", installed={"tea-time": "1.0"})
    assert named(made.installed) == ["needs-tea==2.0"]


@pytest.mark.parametrize(
    ("text", "permitted"),
    [
        ("tea-time", "tea-time"),
        ("# drinks\n\nTea.Time >= 1, < 2  # hot\ncup\n", "tea-time<2,>=1"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}tea_time==1.0", "tea-time==1.0"),
        ("tea-time[hot]<2", "tea-time<2"),
    ],
)
def test_a_list_is_read_with_and_without_versions(
    text: str, permitted: str, tmp_path: Path
) -> None:
    file = tmp_path / "permitted.txt"
    file.write_text(text, encoding="utf-8")
    asked = read_policy("list", file).check(Requirement("tea-time"))
    assert str(asked) == permitted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tea-time\nTea_Time==1.0", "names tea-time twice"),
        ("tea-time==1.0\ntea-time==1.1", "names tea-time twice"),
        ("tea-time; python_version > '3'", "a name and versions, and nothing else"),
        ("tea-time @ https://example.org/tea.whl", "a name and versions, and nothing else"),
        ("--index-url x", "has a line that is"),
    ],
)
def test_a_list_that_may_mean_several_things_is_refused(
    text: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "permitted.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=says):
        read_policy("list", file)


async def test_one_session_cannot_ask_without_end(index: Index, tmp_path: Path) -> None:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)
    for _ in range(10):
        await provide(broker, "tea-time", installed={"tea-time": "1.0"})
    with pytest.raises(PackagesNotInstalledError, match="10 times in a minute by this session"):
        await provide(broker, "tea-time", installed={"tea-time": "1.0"})
    await provide(broker, "tea-time", installed={"tea-time": "1.0"}, who="somebody else")


async def test_nor_can_one_principal_by_many_sessions(index: Index, tmp_path: Path) -> None:
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"), index=index.url)

    async def ask(principal: str, session: str) -> None:
        with serving(principal=principal):
            await provide(broker, "tea-time", installed={"tea-time": "1.0"}, who=session)

    for number in range(20):
        await ask("token:alice", f"session-{number}")
    with pytest.raises(PackagesNotInstalledError, match=r"20 times .* sessions of one user"):
        await ask("token:alice", "another-session")
    await ask("token:bob", "session-of-bob")
    await ask("", "nobody-s-session")


async def test_two_that_ask_at_once_get_one_set(broker: PackageBroker, index: Index) -> None:
    made: list[PackageSet] = []

    async def ask(who: str) -> None:
        made.append(await provide(broker, "needs-tea", who=who))

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(ask, f"session-{number}")
    assert len({each.directory for each in made}) == 1
    assert len(names_in(broker)) == 1
    assert staged(broker) == []


def test_the_sets_of_others_can_be_neither_listed_nor_guessed(tmp_path: Path) -> None:
    store, other = PackageStore(tmp_path / "one"), PackageStore(tmp_path / "two")
    assert store.directory_of([], "3.12").name != other.directory_of([], "3.12").name
    assert PackageStore(tmp_path / "one").directory_of([], "3.12") == store.directory_of([], "3.12")
    assert store.sets.stat().st_mode & 0o044 == 0


async def test_a_wheel_that_is_cut_is_not_used(either: PackageBroker, index: Index) -> None:
    whole = make_wheel(index.directory, "cut-short")
    whole.write_bytes(whole.read_bytes()[:-40])
    await refusal(either, "cut-short")
    assert names_in(either) == []
    assert staged(either) == []


def outside(tmp_path: Path) -> list[Path]:
    found = [*tmp_path.rglob("outside.py"), *Path("/tmp").glob("outside-of-the-store.py")]
    within = (tmp_path / "store", tmp_path / "uv-cache")
    return [path for path in found if not set(within).intersection(path.parents)]


@pytest.mark.parametrize(
    ("path", "installer"),
    [
        ("../../outside.py", "broker"),
        ("../../outside.py", "pip"),
        ("/tmp/outside-of-the-store.py", "broker"),
        ("pkg/../../../outside.py", "broker"),
    ],
)
async def test_a_wheel_whose_names_lead_out_writes_nothing_outside(
    path: str, installer: str, request: pytest.FixtureRequest, index: Index, tmp_path: Path
) -> None:
    chosen: PackageBroker = request.getfixturevalue(installer)
    make_wheel(index.directory, "leads-out", files={"leads_out.py": "", path: "x = 1\n"})
    try:
        made = await provide(chosen, "leads-out")
    except PackagesNotInstalledError:
        assert names_in(chosen) == []
    else:
        assert made.directory is not None
    assert outside(tmp_path) == []


async def test_code_in_a_pth_file_does_not_run(broker: PackageBroker, index: Index) -> None:
    marker = index.directory / "ran"
    line = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    make_wheel(index.directory, "with-pth", files={"with_pth.py": "", "evil.pth": line})
    made = await provide(broker, "with-pth")
    assert made.directory is not None
    assert not list(made.directory.glob("*.pth"))
    assert imported(made.directory, "import with_pth; print(1)") == "1"
    assert not marker.exists()


async def test_a_link_in_a_wheel_is_not_followed(broker: PackageBroker, index: Index) -> None:
    wheel = make_wheel(index.directory, "with-link", files={"with_link.py": ""})
    link = zipfile.ZipInfo("stolen.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    try:
        made = await provide(broker, "with-link")
    except PackagesNotInstalledError:
        return
    assert made.directory is not None
    assert not any(path.is_symlink() for path in made.directory.rglob("*"))
