"""Which names of the host's work directory a model may use. Pure.

The model chooses the paths, and code in the session what will stand there, so both are hostile.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlsplit

from aca_mcp.errors import HostPathRefusedError
from aca_mcp.server.results.text import show_name

if TYPE_CHECKING:
    from collections.abc import Collection

_SHORT_NAME = re.compile(r"~\d")
"""How Windows abbreviates names: ``GIT~1`` is ``.git`` on its file systems."""
_MAX_NAME_BYTES = 200
_TRUSTED = frozenset(
    name.casefold()
    for name in (
        # What agents take for their user's words.
        "AGENT.md",
        "AGENTS.md",
        "AGENTS.override.md",
        "CLAUDE.md",
        "CLAUDE.local.md",
        "CODEX.md",
        "CONVENTIONS.md",
        "CRUSH.md",
        "GEMINI.md",
        "QWEN.md",
        "WARP.md",
        "SKILL.md",
        "copilot-instructions.md",
        "replit.md",
        # What other programs run, or take their orders from, because it has this name.
        "autorun.inf",
        "desktop.ini",
        "conftest.py",
        "sitecustomize.py",
        "usercustomize.py",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "tox.ini",
        "pytest.ini",
        "Pipfile",
        "noxfile.py",
        "tasks.py",
        "package.json",
        "deno.json",
        "gulpfile.js",
        "Gruntfile.js",
        "Makefile",
        "GNUmakefile",
        "justfile",
        "Taskfile.yml",
        "Taskfile.yaml",
        "mise.toml",
        "lefthook.yml",
        "flake.nix",
        "default.nix",
        "shell.nix",
        "Procfile",
        "Tiltfile",
        "Containerfile",
        "Dockerfile",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
        "Jenkinsfile",
        "Vagrantfile",
        "Rakefile",
        "Gemfile",
        "CMakeLists.txt",
        "meson.build",
        "pom.xml",
        "build.xml",
        "build.gradle",
        "build.gradle.kts",
        "build.rs",
    )
)


def host_parts(path: str, root: str = "") -> tuple[str, ...]:
    """The names that a path consists of, if it may be one of the work directory.

    Args:
        path: relative to the work directory, or absolute below it, or below a session's own
            ``/mnt/data``, which has the same files by the same names.
        root: the work directory's own path; empty where absolute ones are refused.

    Raises:
        HostPathRefusedError: it may not, or names the directory itself.
    """
    parts = directory_parts(path, root)
    if not parts:
        refuse(path, "it names no file")
    return parts


def directory_parts(path: str, root: str = "") -> tuple[str, ...]:
    """The same for a directory, which may be the work directory itself: no parts.

    Raises:
        HostPathRefusedError: it may not be reached.
    """
    relative = below_work_directory(path, root)
    if relative is None:
        refuse(path, "it is not below the work directory")
    parts = tuple(part for part in relative.split("/") if part not in ("", "."))
    for part in parts:
        if (reason := why_refused(part)) is not None:
            refuse(path, reason)
    return parts


def relative_path(path: str, root: str = "") -> str:
    """A path as people write it, also of Windows or in a URL, relative to the work directory."""
    if path.startswith("file://"):
        path = unquote(urlsplit(path).path)
    path = path.replace("\\", "/")  # which no name may have
    relative = below_work_directory(path, root)
    return path if relative is None else relative


def below_work_directory(path: str, root: str = "") -> str | None:
    """A path without what stands for the work directory; None if it is absolute elsewhere."""
    for base in (root.rstrip("/"), "/mnt/data"):
        if base and (path == base or path.startswith(f"{base}/")):
            return path[len(base) + 1 :]
    return None if path.startswith("/") else path


def why_refused(name: str) -> str | None:
    """Why a name may be neither read nor written, or None if it may."""
    if name == "..":
        return "it may not leave the work directory"
    if name.startswith(".") or _SHORT_NAME.search(name):
        return "names that begin with a dot may hold what tools on the host trust"
    if not name.isprintable() or name != name.strip() or set(name) & set('\\:*?"<>|'):
        return "it has characters that not every system allows in names"
    if name.endswith(".") or len(os.fsencode(name)) > _MAX_NAME_BYTES:
        return "it has a name that not every system allows"
    return None


def check_untrusted(path: str, parts: tuple[str, ...], allowed: Collection[str]) -> None:
    """See that a file to be written is none that tools on the host trust by its name.

    Args:
        path: as it was given, for the refusal.
        parts: its names.
        allowed: names, or paths, that the user asked for.

    Raises:
        HostPathRefusedError: it is, and is not allowed.
    """
    name = parts[-1]
    if name.casefold() in _TRUSTED and not {name, "/".join(parts)} & set(allowed):
        refuse(
            path,
            f"tools on the host trust a file of that name. If the user asked for it, pass "
            f'trusted_names=["{name}"]',
        )


def refuse(path: str, reason: str) -> NoReturn:
    """Say why a path is not used.

    Raises:
        HostPathRefusedError: always.
    """
    raise HostPathRefusedError(f"{show_name(path)}: {reason}.")
