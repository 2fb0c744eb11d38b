"""Makes ``server.json`` and the bundle's manifest from ``pyproject.toml`` and ``Settings``.

Prints them; ``--write`` puts them where they belong. The registry's rules that a schema does not
know are in ``tests/packaging/test_registry_metadata.py``.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr

from aca_mcp.cli.flags import SERVING_FIELDS
from aca_mcp.settings import Settings, describe_default, variable_name

ROOT = Path(__file__).parent.parent
SERVER_JSON, MANIFEST = ROOT / "server.json", ROOT / "packaging" / "mcpb" / "manifest.json"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
TITLE = "Python interpreter"
DESCRIPTION = "A stateful, isolated Python interpreter for a language model: local, or on Azure."
PRIVACY_OF_AZURE = "https://privacy.microsoft.com/privacystatement"
PORT = 8000

# Fixed by how the image is started, or of no use in a container that is a service.
NOT_OF_THE_IMAGE = {"transport", "host", "port", "http_path", "sse_path", "work_dir"}
AZURE_VARIABLES = {
    "AZURE_TENANT_ID": "The tenant of the credential.",
    "AZURE_CLIENT_ID": "The client id of the credential.",
    "AZURE_CLIENT_SECRET": "The secret of the credential.",
}
BUNDLE_SETTINGS = {
    "work_dir": ("directory", "Shared directory"),
    "pool_management_endpoint": ("string", "Azure session pool"),
    "azure_credential": ("string", "Azure credential"),
    "local_network": ("string", "Network of local sessions"),
    "execution_timeout_seconds": ("number", "Time for one execution, in seconds"),
}

NOT_ON_WINDOWS = {"work_dir": "", "local_network": "none"}
"""What the bundle passes there whatever is chosen: the server does not start with a directory."""

BUNDLE_NEEDS = (
    "Linux: sessions are sandboxed processes on this machine; Python 3.11 or newer is all that is "
    "needed. macOS and Windows: sessions run in WebAssembly on this machine, with fewer packages, "
    "or on Azure Container Apps, in the session pool whose endpoint is given."
)
BUNDLE_HELP = {
    "work_dir": "Linux and macOS: the folder whose files the model may see, and copy to and from "
    "its session. Windows: not used; files go through the conversation.",
    "pool_management_endpoint": "Any system: the https URL of an Azure session pool, for which "
    "`az login` was done here. Empty: sessions run on this machine.",
    "azure_credential": "Only with an Azure session pool. `default` takes what `az login` gives.",
    "local_network": "Linux only. `host` lets code use this machine's network: unsafe.",
}

Document = dict[str, Any]


def server_json() -> Document:
    """What the MCP registry is told: a package for stdio, and an image for HTTP."""
    project = _project()
    version: str = project["version"]
    stdio = [field for field in Settings.model_fields if field not in SERVING_FIELDS]
    service = [field for field in Settings.model_fields if field not in NOT_OF_THE_IMAGE]
    return {
        "$schema": SCHEMA,
        "name": registry_name(),
        "title": TITLE,
        "description": DESCRIPTION,
        "version": version,
        "repository": {"url": project["urls"]["Repository"], "source": "github"},
        "packages": [
            {
                "registryType": "pypi",
                "identifier": project["name"],
                "version": version,
                "runtimeHint": "uvx",
                "runtimeArguments": [
                    {
                        "type": "named",
                        "name": "--with",
                        "value": f"{project['name']}[local]=={version}",
                        "description": "What local sessions import; an Azure pool needs none.",
                    }
                ],
                "transport": {"type": "stdio"},
                "environmentVariables": _variables(stdio),
            },
            {
                "registryType": "oci",
                "identifier": f"ghcr.io/{_repository()}:{version}",
                "runtimeHint": "docker",
                "runtimeArguments": [
                    {"type": "named", "name": "--publish", "value": f"127.0.0.1:{PORT}:{PORT}"}
                ],
                "packageArguments": [
                    {"type": "positional", "value": "serve"},
                    {"type": "named", "name": "--transport", "value": "http"},
                    {"type": "named", "name": "--host", "value": "0.0.0.0"},
                ],
                "transport": {
                    "type": "streamable-http",
                    "url": f"http://localhost:{PORT}{Settings.model_fields['http_path'].default}",
                    "headers": [
                        {
                            "name": "Authorization",
                            "description": "Bearer, and one of the tokens that the server takes.",
                            "placeholder": "Bearer TOKEN",
                            "isRequired": True,
                            "isSecret": True,
                        }
                    ],
                },
                "environmentVariables": _variables(service),
            },
        ],
    }


def manifest() -> Document:
    """What Claude Desktop is told; it installs the bundle's dependencies itself, by uv."""
    project = _project()
    run = ["run", "--no-dev", "--directory", "${__dirname}"]
    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": TITLE,
        "version": project["version"],
        "description": DESCRIPTION,
        "long_description": BUNDLE_NEEDS,
        "author": {"name": f"The {project['name']} authors"},
        "repository": {"type": "git", "url": project["urls"]["Repository"]},
        "license": project["license"],
        "keywords": project["keywords"],
        "privacy_policies": [PRIVACY_OF_AZURE],
        "server": {
            "type": "uv",
            "entry_point": "aca_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": [*run, "--extra", "local", "aca-mcp", "serve"],
                "env": _bundle_environment({}),
                "platform_overrides": {"win32": {"env": _bundle_environment(NOT_ON_WINDOWS)}},
            },
        },
        "tools_generated": True,
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project["requires-python"]},
        },
        "user_config": {
            field: {
                "type": kind,
                "title": title,
                "description": BUNDLE_HELP.get(field) or Settings.model_fields[field].description,
                "required": False,
                "default": _default(field),
            }
            for field, (kind, title) in BUNDLE_SETTINGS.items()
        },
    }


def _bundle_environment(fixed: dict[str, str]) -> dict[str, str]:
    return {
        variable_name(field): fixed.get(field, f"${{user_config.{field}}}")
        for field in BUNDLE_SETTINGS
    }


def registry_name() -> str:
    """The server's name in the registry, which is that of its repository."""
    return f"io.github.{_repository()}"


def _project() -> Document:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _repository() -> str:
    return str(_project()["urls"]["Repository"]).removeprefix("https://github.com/")


def _default(field: str) -> object:
    # An empty variable is as good as none.
    return Settings.model_fields[field].default or ""


def _variables(fields: list[str]) -> list[Document]:
    secret = {"AZURE_CLIENT_SECRET": {"isSecret": True}}
    return [_variable(field) for field in fields] + [
        {"name": name, "description": description, "format": "string", **secret.get(name, {})}
        for name, description in AZURE_VARIABLES.items()
    ]


def _variable(field: str) -> Document:
    info = Settings.model_fields[field]
    annotation = info.annotation
    found: Document = {
        "name": variable_name(field),
        "description": info.description,
        "format": _format(annotation),
    }
    if annotation is SecretStr:
        found["isSecret"] = True
    elif (default := describe_default(field)) != "unset":
        found["default"] = default.lower() if annotation is bool else default
    if get_origin(annotation) is Literal:
        found["choices"] = list(get_args(annotation))
    return found


def _format(annotation: object) -> str:
    if annotation is bool:
        return "boolean"
    if annotation is int or annotation is float:
        return "number"
    return "filepath" if Path in get_args(annotation) else "string"


def as_text(document: Document) -> str:
    """A document as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for path, document in ((SERVER_JSON, server_json()), (MANIFEST, manifest())):
        if sys.argv[1:] == ["--write"]:
            path.write_text(as_text(document), encoding="utf-8")
        else:
            print(as_text(document), end="")


if __name__ == "__main__":
    main()
