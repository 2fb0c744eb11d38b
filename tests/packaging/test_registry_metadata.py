"""What registries, the image and the bundle are told is what the project is."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from jsonschema import Draft7Validator
from pydantic import SecretStr

from aca_mcp.settings import Settings, variable_name

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LONGEST_DESCRIPTION = 100
SECRETS_OF_AZURE = {"AZURE_CLIENT_SECRET"}


def document(name: str) -> dict[str, Any]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server() -> dict[str, Any]:
    return document("server.json")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    ("name", "function"),
    [("server.json", "server_json"), ("packaging/mcpb/manifest.json", "manifest")],
)
def test_the_documents_are_what_the_settings_and_the_project_make_of_them(
    name: str, function: str
) -> None:
    """`.venv/bin/python scripts/registry_metadata.py --write` brings them up to date."""
    script = runpy.run_path(str(ROOT / "scripts" / "registry_metadata.py"))
    make = cast("Callable[[], dict[str, Any]]", script[function])
    assert document(name) == make()


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("server.json", "server.schema.2025-12-11.json"),
        ("packaging/mcpb/manifest.json", "mcpb-manifest-v0.4.schema.json"),
    ],
)
def test_the_documents_follow_their_schemas(name: str, schema: str) -> None:
    rules = json.loads((HERE / schema).read_text(encoding="utf-8"))
    validator = Draft7Validator(rules)
    faults = [error.message for error in validator.iter_errors(document(name))]  # pyright: ignore[reportUnknownMemberType] -- its stubs leave an argument open
    assert faults == []


def test_the_registry_can_see_whose_the_packages_are(
    server: dict[str, Any], project: dict[str, Any]
) -> None:
    """By its name in the README that PyPI shows, and in the image's label."""
    repository = project["urls"]["Repository"].removeprefix("https://github.com/")
    assert server["name"] == f"io.github.{repository}"
    assert f"<!-- mcp-name: {server['name']} -->" in (ROOT / "README.md").read_text("utf-8")
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', dockerfile.partition("LABEL ")[2]))
    assert labels["io.modelcontextprotocol.server.name"] == server["name"]
    assert labels["org.opencontainers.image.source"] == project["urls"]["Repository"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]


def test_the_version_is_the_projects_everywhere(
    server: dict[str, Any], project: dict[str, Any]
) -> None:
    version = project["version"]
    pypi, oci = server["packages"]
    assert server["version"] == pypi["version"] == version
    assert pypi["identifier"] == project["name"]
    assert oci["identifier"].endswith(f":{version}")
    assert "version" not in oci
    assert document("packaging/mcpb/manifest.json")["version"] == version
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f'org.opencontainers.image.version="{version}"' in dockerfile


def test_what_the_registry_refuses_is_not_there(server: dict[str, Any]) -> None:
    assert 0 < len(server["description"]) <= LONGEST_DESCRIPTION
    for package in server["packages"]:
        names = [variable["name"] for variable in package["environmentVariables"]]
        assert len(names) == len(set(names))


def test_variables_are_settings_and_secrets_are_marked(server: dict[str, Any]) -> None:
    settings = {variable_name(field): info for field, info in Settings.model_fields.items()}
    secrets = {name for name, info in settings.items() if info.annotation is SecretStr}
    offered: set[str] = set()
    for package in server["packages"]:
        variables = {entry["name"]: entry for entry in package["environmentVariables"]}
        offered |= variables.keys()
        assert all(name in settings for name in variables if name.startswith("ACA_MCP_"))
        marked = {name for name, entry in variables.items() if entry.get("isSecret")}
        assert marked == (secrets | SECRETS_OF_AZURE) & variables.keys()
        assert all("default" not in variables[name] for name in marked)
    # How the image is started says these.
    fixed = {"TRANSPORT", "HOST", "PORT", "HTTP_PATH", "SSE_PATH"}
    assert settings.keys() - offered == {f"ACA_MCP_{name}" for name in fixed}


def test_the_image_is_reached_where_it_listens(server: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    port, path = (Settings.model_fields[name].default for name in ("port", "http_path"))
    assert f"EXPOSE {port}\n" in dockerfile
    assert server["packages"][1]["transport"]["url"] == f"http://localhost:{port}{path}"


def test_the_bundle_passes_settings_that_exist() -> None:
    manifest = document("packaging/mcpb/manifest.json")
    passed = manifest["server"]["mcp_config"]["env"]
    assert passed.keys() <= {variable_name(field) for field in Settings.model_fields}
    asked = {f"${{user_config.{name}}}" for name in manifest["user_config"]}
    assert set(passed.values()) == asked
    # On Windows the server would not start with a directory.
    on_windows = manifest["server"]["mcp_config"]["platform_overrides"]["win32"]["env"]
    assert on_windows.keys() == passed.keys()
    assert on_windows["ACA_MCP_WORK_DIR"] == ""
    assert "Windows: not used" in manifest["user_config"]["work_dir"]["description"]


def test_the_dockerfile_is_clean() -> None:
    """By hadolint, without exceptions."""
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, encoding="utf-8", timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "")
