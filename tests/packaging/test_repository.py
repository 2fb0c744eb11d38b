"""The repository agrees with itself: documents, versions, sizes."""

from __future__ import annotations

import os
import re
import runpy
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import aca_mcp
from aca_mcp.server.instructions import duration
from aca_mcp.settings import Settings
from aca_mcp.settings.model import AZURE_MAX_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LONGEST_MODULE = 400


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_no_module_is_long() -> None:
    """What is longer has two jobs, or tests two things."""
    folders = ("aca_mcp", "tests", "benchmarks", "examples", "scripts")
    modules = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert modules
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_the_page_of_settings_has_every_one_as_it_is() -> None:
    """`.venv/bin/python scripts/settings_table.py --write` brings it up to date."""
    script = runpy.run_path(str(ROOT / "scripts" / "settings_table.py"))
    table = cast("Callable[[], str]", script["settings_table"])
    found = cast("Callable[[str], str]", script["table_in"])
    assert found(text_of("docs/settings.md")) == table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", text)
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    newest = re.search(r"^## (\d\S*)", text_of("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert project["version"] == aca_mcp.__version__ == newest[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_script_that_a_document_names_can_be_run(document: Path) -> None:
    names = set(re.findall(r"\./(scripts/\w+|\.ci/run)", document.read_text("utf-8")))
    assert [name for name in names if not os.access(ROOT / name, os.X_OK)] == []


def test_the_readme_tells_the_limits_as_the_settings_have_them() -> None:
    """From one source: the figures that a person reads are those that hold by default."""
    default = {name: info.default for name, info in Settings.model_fields.items()}
    limits = text_of("README.md").partition("\n## Limits\n")[2].partition("\n## ")[0]
    told = " ".join(limits.split())
    for figure in (
        f"{default['local_disk_mib']} MiB of disk",
        f"{default['local_max_processes']} processes",
        f"takes {default['execution_timeout_seconds']} seconds unless",
        f"at most {duration(default['local_max_timeout_seconds'])}",
        f"files of up to {default['local_max_file_mib']} MiB",
        f"{default['local_max_concurrent_sessions']} sessions can be in use",
        f"about {default['max_result_tokens']:,} tokens",
        f"at most {AZURE_MAX_TIMEOUT_SECONDS:g} seconds",
    ):
        assert figure in told
    assert f"At most {default['work_dir_max_mib'] // 1024} GiB is copied" in text_of("README.md")
