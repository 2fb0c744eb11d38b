"""What one installer is configured for, the other one heeds."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from aca_mcp.errors import PackagesNotInstalledError
from aca_mcp.installing.commands import Installer, find_installer
from aca_mcp.installing.package_sources import environment_for, read_pip, read_uv
from aca_mcp.installing.wheels import Target
from aca_mcp.packages.broker import PackageBroker
from aca_mcp.packages.requirements import Policy
from aca_mcp.packages.store import PackageStore
from tests.support.package_index import make_wheel, only_this_index, serve_index

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.package_index import Index

HERE = Target(python=sys.executable)
UV = find_installer()
PIP = Installer("pip", (sys.executable, "-m", "pip"))


@pytest.fixture
def index(tmp_path: Path) -> Generator[Index]:
    directory = tmp_path / "wheels"
    directory.mkdir()
    make_wheel(directory, "tea-time", "1.0")
    make_wheel(directory, "tea-time", "1.1")
    with serve_index(directory) as served:
        yield served


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration, and nothing of this machine's."""
    only_this_index(monkeypatch, tmp_path)
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.delenv("UV_NO_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "machine"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def version_of_tea(installer: Installer, home: Path) -> str:
    broker = PackageBroker(PackageStore(home / "store"), Policy("index"), installer=installer)
    made = await broker.provide(["tea-time"], HERE, installed={}, who="somebody")
    return made.installed[0].version


PIP_NAMES = "[global]\nindex-url = {url}\n"
PIP_HAS_FILES = "[install]\nno-index = true\nfind-links =\n  {wheels}\n"
PIP_CONSTRAINS = "[global]\nindex_url = {url}\nconstraint = {home}/limits.txt\n"
UV_NAMES = '[[index]]\nurl = "{url}"\ndefault = true\n'
UV_HAS_FILES = 'no-index = true\nfind-links = ["{wheels}"]\n'


@pytest.mark.parametrize(
    ("installer", "file", "text"),
    [
        (UV, "config/pip/pip.conf", PIP_NAMES),
        (UV, "machine/pip/pip.conf", PIP_HAS_FILES),
        (UV, "config/pip/pip.conf", PIP_CONSTRAINS),
        (UV, "config/uv/uv.toml", UV_NAMES),
        # pip reads its own configuration by itself.
        (PIP, "config/pip/pip.conf", PIP_CONSTRAINS),
        (PIP, "config/uv/uv.toml", UV_NAMES),
        (PIP, "config/uv/uv.toml", UV_HAS_FILES),
    ],
)
async def test_either_installer_takes_what_either_configuration_names(
    installer: Installer, file: str, text: str, index: Index, home: Path
) -> None:
    write(home / "limits.txt", "tea-time<1.1\nunheard-of==2\n")
    write(home / file, text.format(url=index.url, wheels=index.directory, home=home))
    wanted = "1.0" if "constraint" in text else "1.1"
    assert await version_of_tea(installer, home) == wanted


async def test_the_setting_of_this_program_comes_before_both(index: Index, home: Path) -> None:
    write(home / "config/pip/pip.conf", "[global]\nindex-url = http://127.0.0.1:9/simple\n")
    store = PackageStore(home / "store")
    broker = PackageBroker(store, Policy("index"), index=index.url, installer=UV)
    made = await broker.provide(["tea-time"], HERE, installed={}, who="somebody")
    assert made.installed[0].version == "1.1"


async def test_the_installer_s_own_configuration_comes_before_the_other_s(
    index: Index, home: Path
) -> None:
    closed = "http://127.0.0.1:9/simple"
    write(home / "config/pip/pip.conf", f"[global]\nretries = 0\nindex-url = {closed}\n")
    write(home / "config/uv/uv.toml", f'index-url = "{index.url}"\n')
    assert await version_of_tea(UV, home) == "1.1"
    with pytest.raises(PackagesNotInstalledError):
        await version_of_tea(PIP, home)


def test_what_a_person_has_set_is_not_set_again() -> None:
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "https://pip.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example https://b.example",
        "PIP_TRUSTED_HOST": "pip.example",
        "PIP_CERT": "/certificates.pem",
        "SSL_CERT_FILE": "/mine.pem",
        "UV_NO_CONFIG": "1",
    }
    assert environment_for("uv", environ) == {
        "UV_DEFAULT_INDEX": "https://pip.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "pip.example",
    }
    assert environment_for("uv", {**environ, "UV_DEFAULT_INDEX": "https://uv.example"}) == {}
    assert environment_for("pip", environ) == {}


def test_files_that_cannot_be_read_are_no_configuration(home: Path) -> None:
    write(home / "config/pip/pip.conf", "no section\n")
    write(home / ".pip/pip.conf", "[global]\nindex-url = https://old.example\n")
    write(home / "config/uv/uv.toml", "[[[")
    environ = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CONFIG_DIRS": str(home / "machine"),
    }
    assert read_pip(environ).index == "https://old.example"
    assert not read_uv(environ).name_something


async def test_a_package_comes_from_the_index_that_this_machine_is_configured_for(
    tmp_path: Path,
) -> None:
    """Not skipped where there is none: where these tests run, their own packages came from one."""
    broker = PackageBroker(PackageStore(tmp_path / "store"), Policy("index"))
    made = await broker.provide(["humanize"], HERE, installed={}, who="somebody")
    assert [pin.name for pin in made.installed] == ["humanize"]
    (record,) = (tmp_path / "store" / "records").iterdir()
    assert all(each["hashes"] for each in json.loads(record.read_text())["packages"])
